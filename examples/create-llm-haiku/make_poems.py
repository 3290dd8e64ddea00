"""Writes 512 little poems, each into a file of its own: python make_poems.py FOLDER"""

import sys
from itertools import product
from pathlib import Path

FIRST = """early in the year|on the longest day|after so much rain|before the first frost
with the lamp put out|between two showers|all the way downhill|as the guests go home"""
SECOND = """a heron stands in the stream|somebody sweeps the doorstep|the cat has found a warm stone
two boats leave the old harbour|a kettle begins to sing|the snow forgets the garden
one cricket keeps on counting|the neighbour mends his ladder"""
THIRD = """and nobody speaks|the moon in no haste|so slow the shadows|then only the wind
what was it I sought|leaf upon wet leaf|the road bends away|tomorrow again"""


def lines(text: str) -> list[str]:
    return text.replace("\n", "|").split("|")


folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for number, poem in enumerate(product(lines(FIRST), lines(SECOND), lines(THIRD))):
    (folder / f"{number:03}.md").write_text("\n".join(poem) + "\n", encoding="utf-8")
