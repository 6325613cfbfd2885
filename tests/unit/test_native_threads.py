"""The native core from several threads at once, each with a table of its own: nothing in it is shared unseen.

`make sanitize` runs this under ThreadSanitizer.
"""

from concurrent.futures import ThreadPoolExecutor

from bench import generate, lines
from rtrd.policy import Policy
from rtrlib import packed
from tests.lab.engine_story import EngineStory, take

VRPS = generate.vrps(2000)
ROUTES = lines.make_routes(1000, VRPS)
STREAM = list(lines.updates(ROUTES, 5))


def life(_: int) -> tuple[dict[str, int], bytes]:
    """Fill a set and a table, change them, and empty them again."""
    story = EngineStory(Policy())
    story.vrp_set.replace(0, b"".join(VRPS))
    story.up(lines.PEER)
    take(story.engine, *STREAM)
    counts = story.engine.sessions.counts()
    story.vrps()
    story.work()
    assert story.engine.sessions.counts()["not-found"] == len(ROUTES)
    story.down(lines.PEER)
    story.work()
    assert len(story.engine.table) == 0
    return counts, packed.ordered(b"".join(VRPS))


def test_tables_in_threads_know_nothing_of_each_other() -> None:
    alone = life(0)
    with ThreadPoolExecutor(4) as threads:
        assert all(found == alone for found in threads.map(life, range(12)))
