#!/usr/bin/env python3
"""Train the Keras example CNN on CIFAR-10 for encrypted evaluation and export it to ONNX."""

from pathlib import Path

import torch

import keras_cnn
import training


def main():
    data = "the CIFAR-10 binary files"
    p = training.arguments(__doc__, None, data, epochs=70, lr=2e-3, batch=256, weight_decay=0.02)
    keras_cnn.add_options(p, dropout=0.3)
    p.set_defaults(exact_epochs=35, steadiness=1.0, low_noise=-9.5, high_noise=-7.5, repeats=1, noise_images=2_000)
    options = p.parse_args()
    options.out = options.out or Path(__file__).with_name(keras_cnn.file_name("cifar10_cnn", options.activation))
    training.prepare(options)
    images, labels = training.cifar10(options.data, "train")
    test = training.cifar10(options.data, "test")
    model = keras_cnn.KerasCnn(3, 32, options.dropout, options.activation)
    optimizer = torch.optim.AdamW(model.parameters(), options.lr, weight_decay=options.weight_decay)
    model = training.train(model, images, labels, training.crop_flip, optimizer, options.lr, options)
    training.finish(model, options, images, *test)


if __name__ == "__main__":
    main()
