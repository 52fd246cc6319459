"""Engines: a frozen prefix in OpenVINO's precisions against Keras, in one run.

    python benchmarks/engines.py --backbone EfficientNetLite0 --rounds 9

The engines take turns, batch by batch, on real solar cells. Times on a shared machine are noise;
the ratio to Keras within a round is less so: its median is printed, with the lowest and highest.
Prints a Markdown table, and how long each step of preparing OpenVINO takes.
"""

import argparse
import statistics

from measuring import seconds

import kerastl
from kerastl.data.batches import iter_batches
from kerastl.features.engines import choose_engine, difference, forward
from kerastl.features.openvino import precisions


def turns(engines, images, rounds):
    """Seconds of each engine in each round, after one run that is not counted."""
    taken = {engine.name: [] for engine in engines}
    for number in range(rounds + 1):
        for engine in engines:
            passed = seconds(lambda engine=engine: engine.run(images))
            taken[engine.name] += [passed] if number else []
    return taken


def rows(engines, images, rounds):
    taken = turns(engines, images, rounds)
    exact = engines[0].run(images)
    for engine in engines:
        pairs = zip(taken["keras"], taken[engine.name], strict=True)
        ratios = sorted(keras / ours for keras, ours in pairs)
        apart = difference(exact, engine.run(images))
        name, _, precision = engine.name.partition(":")
        middle = statistics.median(ratios)
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        yield f"| {name} | {precision or 'float32'} | {middle:.2f} | {spread} | {apart:.1e} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backbone", default="EfficientNetLite0")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()

    data = kerastl.read_solar_cells().take(range(args.batch))
    weights = None if args.weights == "none" else args.weights
    model = kerastl.create_model(args.backbone, data.tasks, weights=weights)
    prefix = kerastl.split(model).prefix
    images = next(iter_batches(data, (), prefix.input_shape[1:3], args.batch)).images

    def engine(name):
        return choose_engine(prefix, name, images, args.batch)

    reference = seconds(lambda: forward(prefix)(images))
    first, again = (seconds(lambda: engine("openvino")) for _ in range(2))
    engines = [engine(name) for name in ("keras", *(f"openvino:{p}" for p in precisions()))]

    print(f"{args.backbone}, frozen, batch {args.batch}, {args.rounds} rounds\n")
    print("| engine | precision | pictures/s, Keras = 1 | lowest to highest | difference |")
    print("|---|---|---|---|---|", *rows(engines, images, args.rounds), sep="\n")
    print(f"\nKeras traced and run once in {reference:.1f} s; that and OpenVINO prepared and")
    print(f"compared in {first:.1f} s, and again in {again:.1f} s")


if __name__ == "__main__":
    main()
