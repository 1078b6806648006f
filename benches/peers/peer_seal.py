"""Times SEAL, through the low-level bindings in tenseal, and measures its precision."""

import statistics
from functools import partial

import numpy as np
import tenseal.sealapi as seal

from measure import ROTATIONS, Report, Setting, Vector, parse_setting, random_vector, sample


class Seal:
    """Keys and operands of one parameter set."""

    def __init__(self, setting: Setting) -> None:
        self.scale = 2.0**setting.scale_bits
        self._check_digits(setting)
        self.context = make_context(setting)
        keys = seal.KeyGenerator(self.context)
        public = seal.PublicKey()
        keys.create_public_key(public)
        self.relinearization, self.galois = seal.RelinKeys(), seal.GaloisKeys()
        keys.create_relin_keys(self.relinearization)
        keys.create_galois_keys(rotation_elements(setting), self.galois)
        self.encoder = seal.CKKSEncoder(self.context)
        self.encryptor = seal.Encryptor(self.context, public)
        self.decryptor = seal.Decryptor(self.context, keys.secret_key())
        self.evaluator = seal.Evaluator(self.context)

    @staticmethod
    def _check_digits(setting: Setting) -> None:
        one_limb_each = setting.digits == len(setting.modulus_bits)
        if not one_limb_each or len(setting.special_bits) != 1:
            raise ValueError("SEAL has one digit per limb and one special prime")

    def encode(self, values: list[float], plaintext: seal.Plaintext) -> None:
        self.encoder.encode(values, self.scale, plaintext)

    def encrypt(self, values: list[float]) -> seal.Ciphertext:
        plaintext, ciphertext = seal.Plaintext(), seal.Ciphertext()
        self.encode(values, plaintext)
        self.encryptor.encrypt(plaintext, ciphertext)
        return ciphertext

    def decrypt(self, ciphertext: seal.Ciphertext) -> Vector:
        plaintext = seal.Plaintext()
        self.decryptor.decrypt(ciphertext, plaintext)
        return np.array(self.encoder.decode_double(plaintext))

    def multiply(
        self, left: seal.Ciphertext, right: seal.Ciphertext, product: seal.Ciphertext
    ) -> None:
        self.evaluator.multiply(left, right, product)
        self.evaluator.relinearize_inplace(product, self.relinearization)
        self.evaluator.rescale_to_next_inplace(product)

    def rotate(self, operand: seal.Ciphertext, steps: int, rotated: seal.Ciphertext) -> None:
        self.evaluator.rotate_vector(operand, steps, self.galois, rotated)

    def rotate_each(self, operand: seal.Ciphertext, rotated: seal.Ciphertext) -> None:
        for steps in ROTATIONS:
            self.rotate(operand, steps, rotated)


def rotation_elements(setting: Setting) -> list[int]:
    return [pow(3, steps, 2 * setting.dimension) for steps in ROTATIONS]


def make_context(setting: Setting) -> seal.SEALContext:
    parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
    parameters.set_poly_modulus_degree(setting.dimension)
    primes = setting.modulus_bits + setting.special_bits
    parameters.set_coeff_modulus(seal.CoeffModulus.Create(setting.dimension, primes))
    context = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.TC128)
    if not context.parameters_set():
        raise ValueError(context.parameters_error_message())
    return context


def conversion_seconds(peer: Seal, values: list[float], seconds: float) -> float:
    """What passing a Python list takes: SEAL refuses the scale as soon as it has the numbers."""

    def refused() -> None:
        try:
            peer.encoder.encode(values, -1.0, seal.Plaintext())
        except ValueError:
            return
        raise AssertionError("a negative scale was accepted")

    return statistics.median(sample(refused, seconds))


def time_encryption(peer: Seal, setting: Setting, report: Report) -> None:
    values = random_vector(setting.slots).tolist()
    plaintext, ciphertext = seal.Plaintext(), seal.Ciphertext()
    conversion = conversion_seconds(peer, values, setting.seconds)
    report.time("encode", partial(peer.encode, values, plaintext), conversion)
    report.time("encrypt", partial(peer.encryptor.encrypt, plaintext, ciphertext))


def time_evaluation(peer: Seal, setting: Setting, report: Report) -> None:
    values = random_vector(setting.slots).tolist()
    left, right = peer.encrypt(values), peer.encrypt(values)
    plaintext, result = seal.Plaintext(), seal.Ciphertext()
    peer.encode(values, plaintext)
    evaluator = peer.evaluator
    report.time("add", partial(evaluator.add, left, right, result))
    report.time("multiply_plain", partial(evaluator.multiply_plain, left, plaintext, result))
    report.time("multiply", partial(peer.multiply, left, right, result))
    report.time("rotate", partial(peer.rotate, left, 1, result))
    report.time("rotate_8", partial(peer.rotate_each, left, result))


def multiply_encrypted(peer: Seal, left: Vector, right: Vector) -> Vector:
    product = seal.Ciphertext()
    peer.multiply(peer.encrypt(left.tolist()), peer.encrypt(right.tolist()), product)
    return peer.decrypt(product)


def main() -> None:
    setting = parse_setting()
    report = Report("SEAL", setting)
    peer = Seal(setting)
    time_encryption(peer, setting, report)
    time_evaluation(peer, setting, report)
    report.precision(partial(multiply_encrypted, peer))


if __name__ == "__main__":
    main()
