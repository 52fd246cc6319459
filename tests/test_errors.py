from kerastl.errors import InputError, nearest, shorten


def test_a_message_with_its_faults():
    error = InputError("Two faults.", [f"line {i}" for i in range(30)])
    lines = str(error).splitlines()
    assert lines[0] == "Two faults."
    assert len(lines) == 22
    assert lines[-1] == "  ... and 10 more"
    assert len(error.faults) == 30


def test_it_is_a_value_error():
    assert isinstance(InputError("no"), ValueError)


def test_shorten_leaves_a_short_list_alone():
    assert shorten(["a"], most=1) == ["a"]


def test_nearest_ignores_case_and_keeps_the_writing():
    assert nearest("resnet50v", ["ResNet50V2", "VGG16"]) == " Did you mean ResNet50V2?"
