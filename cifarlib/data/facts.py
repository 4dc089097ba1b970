"""The facts of CIFAR-100 that hold without reading a picture (Krizhevsky 2009)."""

import json

from ..utils.files import PACKAGE

_FACTS = json.loads((PACKAGE / "data" / "facts.json").read_text(encoding="utf-8"))

COUNTS: dict[str, int] = _FACTS["counts"]
SPLITS = tuple(COUNTS)  # train, test
SUPERCLASSES: dict[str, list[str]] = _FACTS["superclasses"]
SUPERCLASS_OF: dict[str, str] = {}  # class -> superclass
for _family, _names in SUPERCLASSES.items():
    for _name in _names:
        SUPERCLASS_OF[_name] = _family
CLASSES = tuple(sorted(SUPERCLASS_OF))
ARCHIVE_URL: str = _FACTS["archive_url"]
ARCHIVE_MD5: str = _FACTS["archive_md5"]
FILE_MD5: dict[str, str] = _FACTS["file_md5"]
HUB_REPOSITORY: str = _FACTS["hub_repository"]
# SHA-256 of each split in canonical order: see ImageSet.fingerprint
FINGERPRINTS: dict[str, str] = _FACTS["fingerprints"]
# the same of a run's parts: part -> number of pictures -> SHA-256
PART_FINGERPRINTS: dict[str, dict[str, str]] = _FACTS["part_fingerprints"]
# number of test pictures -> SHA-256 of their labels, little-endian uint16
TEST_LABELS_SHA256: dict[str, str] = _FACTS["test_labels_sha256"]
