"""The facts of CIFAR-100 fit each other."""

from cifarlib.data import facts


def test_a_hundred_classes_fall_into_twenty_superclasses_of_five():
    assert len(set(facts.CLASSES)) == len(facts.CLASSES) == 100
    assert list(facts.CLASSES) == sorted(facts.CLASSES)
    assert len(facts.SUPERCLASSES) == 20
    assert {len(members) for members in facts.SUPERCLASSES.values()} == {5}


def test_every_split_has_its_count_and_its_fingerprint():
    assert facts.COUNTS == {"train": 50_000, "test": 10_000}
    assert facts.FINGERPRINTS.keys() == facts.COUNTS.keys()
    assert facts.FILE_MD5.keys() == {*facts.COUNTS, "meta"}
