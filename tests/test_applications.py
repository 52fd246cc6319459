import socket

import numpy as np
import pytest

from kerastl import applications
from kerastl.applications import affine_preprocessing, builder, default_image_size
from kerastl.errors import InputError


@pytest.mark.parametrize(
    ("name", "size"),
    [("MobileNetV2", 224), ("InceptionV3", 299), ("NASNetLarge", 331), ("EfficientNetB7", 600),
     ("MobileNetV3Small", 224), ("EfficientNetLite0", 224)],
)  # fmt: skip
def test_default_sizes(name, size):
    assert default_image_size(name) == (size, size)


@pytest.mark.parametrize("name", ["VGG16", "DenseNet121", "Xception", "ConvNeXtTiny"])
def test_the_measured_preprocessing_is_the_applications_own(name):
    flipped, scale, offset = affine_preprocessing(name)
    x = np.random.default_rng(0).integers(0, 255, (1, 5, 5, 3)).astype("float64")
    module = __import__("sys").modules[builder(name).__module__]
    expected = module.preprocess_input(x.copy())
    x = x[..., ::-1] if flipped else x
    np.testing.assert_allclose(x * scale + offset, expected, atol=1e-6)


def test_without_a_connection_it_fails_at_once_and_says_what_to_do(monkeypatch, tmp_path):
    def refuse(address, timeout):
        assert timeout <= 5
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(applications.file_utils.config, "keras_home", lambda: str(tmp_path))
    from kerastl.backbones import make_backbone

    with pytest.raises(InputError, match="ImageNet weights of MobileNetV2") as caught:
        make_backbone("MobileNetV2", "imagenet", 96)
    told = str(caught.value)
    assert "no connection to storage.googleapis.com" in told
    assert f"put it at {tmp_path / 'models'}" in told
    assert "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_96_no_top.h5" in told
    assert "weights=None" in told
    assert "EfficientNetLite0" in told


def test_a_file_that_is_there_is_not_asked_for(monkeypatch, tmp_path):
    """With the file in place no connection is tried; here the file is no weights file."""
    monkeypatch.setattr(applications.file_utils.config, "keras_home", lambda: str(tmp_path))
    monkeypatch.setattr(socket, "create_connection", lambda *a, **k: pytest.fail("asked"))
    place = tmp_path / "models" / "mobilenet_1_0_224_tf_no_top.h5"
    place.parent.mkdir()
    place.write_bytes(b"not weights")
    from kerastl.backbones import make_backbone

    with pytest.raises(InputError, match="MobileNet"):
        make_backbone("MobileNet", "imagenet", 224)
