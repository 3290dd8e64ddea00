"""What the tests of downloads share."""

from dataclasses import replace

from create_llm_web.addresses import Address
from create_llm_web.download import Patience

BODY = b"".join(b"line %06d of a text\n" % number for number in range(50_000))
# As a command of its own: the folder and the address are its arguments.
DOWNLOAD = """
import sys
from contextlib import nullcontext
from pathlib import Path
from create_llm_web.addresses import Address
from create_llm_web.cache import Cache
cache = Cache(Path(sys.argv[1]), 10**9, False, lambda: nullcontext(lambda *done: None))
cache.file(Address.parse(sys.argv[2]))
"""
PATIENCE = Patience(attempts=3, first=0.01, longest=0.02, asked=2.0, least=1)


def ranges(site):
    return site.asked("Range")


def fetched(cache, url):
    return cache.file(Address.parse(url)).read_bytes()


def part(cache, url):
    return cache.folder / f"{Address.parse(url).key}.part"


def page_of(page):
    """The page as it is now, whatever it becomes, broken off as it says."""
    now, page.drops = replace(page, first=[]), []
    return now
