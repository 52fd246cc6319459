"""From pictures with labels to a checked model for a phone, in one screen.

    python quickstart.py PICTURES/       a folder with a folder for each class
    python quickstart.py                 the built-in solar cells, two tasks

Copy it, change it. `--smoke` runs it all on a handful of pictures, untrained.
"""

import argparse

import kerastl


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pictures", nargs="?", help="a folder of class folders")
    parser.add_argument("--backbone", default="EfficientNetLite0")
    parser.add_argument("--weights", default="imagenet", help="imagenet, none or a file")
    parser.add_argument("--trainable", default="stage4", help="what trains lies after this stage")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", default="saved_models/quickstart/1")
    parser.add_argument("--smoke", action="store_true", help="a few pictures, one epoch")
    args = parser.parse_args()

    # 1. Pictures and labels, split into train, val and test.
    data = kerastl.read_folder(args.pictures) if args.pictures else kerastl.read_solar_cells()
    if args.smoke:
        data = data.take(range(0, len(data), max(1, len(data) // 120)))
        args.epochs = 1
    print(data.summary())
    print(kerastl.label_report(data))

    # 2. A plain keras.Model: raw uint8 RGB in, one logits tensor a task out.
    model = kerastl.create_model(
        args.backbone,
        data.tasks,
        weights=None if args.weights == "none" else args.weights,
        trainable=args.trainable,
        image_size=64 if args.smoke else None,
    )
    print(kerastl.freeze_plan(model).to_string(index=False))

    # 3. Heads first, then the tail; the frozen prefix runs once.
    history = kerastl.fit(model, data, epochs=args.epochs)
    print(history.movement)

    # 4. Scores on pictures that were held out, each with its interval.
    print(kerastl.evaluate(model, data))

    # 5. Files for servers and phones, compared with the model on held-out pictures.
    kerastl.save_model(model, f"{args.out}/model.keras")
    print(kerastl.export(model, args.out, calibration=data))


if __name__ == "__main__":
    main()
