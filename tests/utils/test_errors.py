"""Errors say what was got, what is nearest and what there is."""

from cifarlib.utils.errors import first_line, last_line, unknown


def test_an_unknown_name_gets_the_nearest_whatever_its_case():
    assert str(unknown("net", "resnet81", ["ResNet18", "VGG"])) == (
        "unknown net 'resnet81': did you mean 'ResNet18'? expected one of ResNet18, VGG"
    )


def test_a_name_that_is_near_to_none_gets_no_hint_and_a_long_list_is_cut():
    names = [f"name{number}" for number in range(20)]
    said = str(unknown("net", "?", names))
    assert "did you mean" not in said
    assert said.endswith("name6, name7, …")


def test_the_first_and_last_line_of_an_error_or_its_kind():
    assert first_line(ValueError("one\ntwo")) == "one"
    assert last_line(ValueError("one\n two\n")) == "two"
    assert first_line(KeyError()) == last_line(KeyError()) == "KeyError"
