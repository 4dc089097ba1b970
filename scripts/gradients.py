"""Does a net's gradient depend on memory that nobody wrote? One step of each, twice over.

    python scripts/gradients.py                                  # every net of the series
    python scripts/gradients.py lcnet_050 regnetx_002 --image-sizes 16 32

Each net takes one step in two processes whose C library fills new memory with another byte
(glibc's MALLOC_PERTURB_), and its gradients must be equal bit for bit. Prints a line a net, size,
stem and precision; exit code 1 if one differs.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import warnings
from typing import NamedTuple

import torch
from torch.nn.functional import cross_entropy

from cifarlib import BACKBONES, Device, create_model
from cifarlib.config import STEMS
from cifarlib.utils.errors import last_line

FILLINGS = ("64", "128")  # MALLOC_PERTURB_'s
CLASSES = 100
BATCH = 2  # images
PRECISIONS = ("float32", "bfloat16")


class Case(NamedTuple):
    """One net at one size, with one stem, in one precision."""

    backbone: str
    stem: str
    image_size: int  # pixels
    precision: str


def cases_of(backbones: list[str], stems: list[str], image_sizes: list[int]) -> list[Case]:
    """Return every combination."""
    cases = []
    for backbone in backbones:
        for stem in stems:
            for image_size in image_sizes:
                for precision in PRECISIONS:
                    cases.append(Case(backbone, stem, image_size, precision))
    return cases


def gradient_digest(case: Case) -> str:
    """Return SHA-256 (hex) of a net's gradients after one step, or in words why there are none."""
    torch.manual_seed(0)
    try:
        model = create_model(
            case.backbone,
            CLASSES,
            stem=case.stem,
            image_size=case.image_size,
        )
        # in both precisions, whatever choose_device would choose: the net's hooks see to the rest
        device = Device(torch.device("cpu"), getattr(torch, case.precision))
        device.place(model)
        shape = (BATCH, 3, case.image_size, case.image_size)
        images = torch.randint(0, 256, shape, dtype=torch.uint8)
        with device.autocast():
            logits = model(device.prepare(images))
        cross_entropy(logits.float(), torch.arange(BATCH)).backward()
    except Exception as error:  # what a net raises, it raises however memory is filled
        return f"{type(error).__name__}: {last_line(error)}"
    digest = hashlib.sha256()
    for parameter in model.parameters():
        if parameter.grad is not None:
            digest.update(parameter.grad.contiguous().numpy().data)
    return digest.hexdigest()


def compare(cases: list[Case]) -> list[tuple[str, ...]]:
    """Return each case's digests, one for each of FILLINGS."""
    processes = []
    for filling in FILLINGS:
        processes.append(
            subprocess.Popen(
                [sys.executable, __file__, "--cases", json.dumps(cases)],
                env=os.environ | {"MALLOC_PERTURB_": filling, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    digests = []
    for process in processes:
        output, _ = process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"a process ended with {process.returncode}")
        digests.append(json.loads(output.splitlines()[-1]))
    return list(zip(*digests, strict=True))


def main() -> int:
    """Compare nets, print a line each; exit code 1 if one's gradients differ."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("backbones", nargs="*", default=list(BACKBONES), help="Names, or timm's.")
    parser.add_argument("--image-sizes", nargs="+", type=int, default=[16, 32, 64], help="Pixels.")
    parser.add_argument("--stems", nargs="+", default=list(STEMS), help="See create_model.")
    parser.add_argument("--cases", help=argparse.SUPPRESS)  # for the processes that it starts
    asked = parser.parse_args()
    if asked.cases:
        warnings.simplefilter("ignore")  # timm's own, of old names and the like
        print(json.dumps([gradient_digest(Case(*case)) for case in json.loads(asked.cases)]))
        return 0
    cases = cases_of(asked.backbones, asked.stems, asked.image_sizes)
    differing = 0
    for case, (first, second) in zip(cases, compare(cases), strict=True):
        outcome = first[:12]
        if ": " in first:
            outcome = first
        if first != second:
            outcome = f"differ: {first[:12]} and {second[:12]}"
            differing += 1
        print(case.backbone, case.stem, f"{case.image_size} px", case.precision, outcome)
    print(f"{len(cases)} cases, {differing} differ")
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
