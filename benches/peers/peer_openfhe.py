"""Times OpenFHE through its Python bindings, and measures its precision."""

from functools import partial

import numpy as np
import openfhe

from measure import ROTATIONS, Report, Setting, Vector, parse_setting, random_vector

#: The fastest: every prime is taken for the scale, and products are rescaled by hand.
FAST = openfhe.ScalingTechnique.FIXEDMANUAL
#: The more precise: the true scales are tracked, and products are rescaled when next used.
PRECISE = openfhe.ScalingTechnique.FLEXIBLEAUTO


class OpenFhe:
    """Keys of one parameter set."""

    def __init__(self, setting: Setting, technique: openfhe.ScalingTechnique) -> None:
        self.context = make_context(setting, technique)
        self.keys = self.context.KeyGen()
        self.context.EvalMultKeyGen(self.keys.secretKey)

    def make_rotation_keys(self) -> None:
        self.context.EvalRotateKeyGen(self.keys.secretKey, list(ROTATIONS))

    def encode(self, values: Vector) -> openfhe.Plaintext:
        return self.context.MakeCKKSPackedPlaintext(values)

    def encrypt(self, plaintext: openfhe.Plaintext) -> openfhe.Ciphertext:
        return self.context.Encrypt(self.keys.publicKey, plaintext)

    def decrypt(self, ciphertext: openfhe.Ciphertext, slots: int) -> Vector:
        plaintext = self.context.Decrypt(ciphertext, self.keys.secretKey)
        plaintext.SetLength(slots)
        return np.array(plaintext.GetCKKSPackedValue()).real

    def multiply(self, left: openfhe.Ciphertext, right: openfhe.Ciphertext) -> openfhe.Ciphertext:
        product = self.context.EvalMult(left, right)
        self.context.RescaleInPlace(product)
        return product

    def rotate_each(self, operand: openfhe.Ciphertext) -> list[openfhe.Ciphertext]:
        return [self.context.EvalRotate(operand, steps) for steps in ROTATIONS]

    def rotate_hoisted(self, operand: openfhe.Ciphertext) -> list[openfhe.Ciphertext]:
        digits = self.context.EvalFastRotationPrecompute(operand)
        return [self.context.EvalFastRotation(operand, steps, digits) for steps in ROTATIONS]


def make_context(setting: Setting, technique: openfhe.ScalingTechnique) -> openfhe.CryptoContext:
    parameters = make_parameters(setting)
    parameters.SetScalingTechnique(technique)
    context = openfhe.GenCryptoContext(parameters)
    for feature in ("PKE", "KEYSWITCH", "LEVELEDSHE"):
        context.Enable(getattr(openfhe.PKESchemeFeature, feature))
    if context.GetRingDimension() != setting.dimension:
        raise ValueError(f"the ring dimension became {context.GetRingDimension()}")
    return context


def make_parameters(setting: Setting) -> openfhe.CCParamsCKKSRNS:
    parameters = openfhe.CCParamsCKKSRNS()
    parameters.SetRingDim(setting.dimension)
    parameters.SetBatchSize(setting.slots)
    parameters.SetFirstModSize(setting.modulus_bits[0])
    parameters.SetScalingModSize(setting.scale_bits)
    parameters.SetMultiplicativeDepth(len(setting.modulus_bits) - 1)
    parameters.SetNumLargeDigits(setting.digits)
    parameters.SetSecurityLevel(openfhe.SecurityLevel.HEStd_128_classic)
    parameters.SetKeySwitchTechnique(openfhe.KeySwitchTechnique.HYBRID)
    # With real data, decryption adds noise of its own.
    parameters.SetCKKSDataType(openfhe.CKKSDataType.COMPLEX)
    return parameters


def time_encryption(peer: OpenFhe, setting: Setting, report: Report) -> None:
    values = random_vector(setting.slots)
    report.time("encode", partial(peer.encode, values))
    report.time("encrypt", partial(peer.encrypt, peer.encode(values)))


def time_evaluation(peer: OpenFhe, setting: Setting, report: Report) -> None:
    plaintext = peer.encode(random_vector(setting.slots))
    left, right = peer.encrypt(plaintext), peer.encrypt(plaintext)
    context = peer.context
    peer.make_rotation_keys()
    report.time("add", partial(context.EvalAdd, left, right))
    report.time("multiply_plain", partial(context.EvalMult, left, plaintext))
    report.time("multiply", partial(peer.multiply, left, right))
    report.time("rotate", partial(context.EvalRotate, left, 1))
    report.time("rotate_8", partial(peer.rotate_each, left))
    report.time("rotate_8_hoisted", partial(peer.rotate_hoisted, left))


def multiply_encrypted(peer: OpenFhe, left: Vector, right: Vector) -> Vector:
    factors = [peer.encrypt(peer.encode(values)) for values in (left, right)]
    return peer.decrypt(peer.multiply(*factors), len(left))


def main() -> None:
    setting = parse_setting()
    report = Report("OpenFHE", setting)
    peer = OpenFhe(setting, FAST)
    time_encryption(peer, setting, report)
    time_evaluation(peer, setting, report)
    report.precision(partial(multiply_encrypted, OpenFhe(setting, PRECISE)))


if __name__ == "__main__":
    main()
