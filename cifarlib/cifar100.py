"""The facts of CIFAR-100 that hold without reading a picture (Krizhevsky 2009)."""

import json

from .files import PACKAGE

_FACTS = json.loads((PACKAGE / "tables" / "cifar100.json").read_text(encoding="utf-8"))

COUNTS: dict[str, int] = _FACTS["counts"]
SUPERCLASSES: dict[str, list[str]] = _FACTS["superclasses"]
SUPERCLASS_OF = {name: family for family, names in SUPERCLASSES.items() for name in names}
CLASSES = tuple(sorted(SUPERCLASS_OF))
ARCHIVE_URL, ARCHIVE_MD5 = _FACTS["archive_url"], _FACTS["archive_md5"]
FILE_MD5 = _FACTS["file_md5"]
HUB_URL, HUB_REPOSITORY = _FACTS["hub_url"], _FACTS["hub_repository"]
FINGERPRINTS = _FACTS["fingerprints"]  # SHA-256 of each split in canonical order: see ImageSet.fingerprint
