"""The policy of a running service changes, and the service ends: what the listening peer hears."""

from typing import Any

from rtrd.demo.chain import FEEDER, LISTENER
from tests.e2e.conftest import MakeChain
from tests.lab.chain import VRPS, Chain

STATIC = [
    f"route {prefix} next-hop 192.0.2.1 as-path [ 64496 {origin} ]"
    for prefix, origin in (("198.18.1.0/24", 64500), ("203.0.113.0/24", 64500), ("198.18.2.0/24", 64501))
]


def rule(valid: Any, not_found: Any, invalid: Any) -> dict[str, Any]:
    return {"from": [FEEDER], "to": [LISTENER], "valid": valid, "not-found": not_found, "invalid": invalid}


def tag(number: int) -> dict[str, Any]:
    return {"action": "announce", "tags": [f"large:65000:1:{number}"]}


def settle(chain: Chain, tags: dict[str, int]) -> None:
    def as_wanted(received: list[Any]) -> bool:
        return {one.prefix: {value for _, _, value in one.large_communities} for one in received} == {
            prefix: {number} for prefix, number in tags.items()
        }

    chain.wait_routes(as_wanted, f"routes tagged {tags}")


def test_only_what_the_new_policy_makes_different_is_written(make_chain: MakeChain) -> None:
    withdraw = {"action": "withdraw"}
    chain = make_chain(VRPS, static=STATIC, policy=[rule(tag(0), tag(1), withdraw)], service=True)
    settle(chain, {"198.18.1.0/24": 0, "203.0.113.0/24": 1})
    heard = chain.heard()

    chain.policy = [rule(tag(7), tag(1), withdraw)]
    chain.write_settings()
    assert [change["what"] for change in chain.ask("reload")["changes"]] == [f"policy: rule 1 is changed, for {FEEDER}"]
    settle(chain, {"198.18.1.0/24": 7, "203.0.113.0/24": 1})
    assert chain.listener.changed_prefixes(heard) == {"198.18.1.0/24"}

    chain.policy = [rule(tag(7), tag(1), tag(2))]
    chain.write_settings()
    chain.ask("reload")
    settle(chain, {"198.18.1.0/24": 7, "203.0.113.0/24": 1, "198.18.2.0/24": 2})
    assert chain.listener.changed_prefixes(heard) == {"198.18.1.0/24", "198.18.2.0/24"}
    assert chain.listener.withdrawn_prefixes(heard) == set()

    chain.policy = []
    chain.write_settings()
    chain.ask("reload")
    settle(chain, {})


def test_at_its_end_the_service_withdraws_if_the_operator_wants_it(make_chain: MakeChain) -> None:
    chain = make_chain(
        VRPS, static=STATIC, policy=[rule(tag(0), tag(1), tag(2))], settings={"on-stop": "withdraw"}, service=True
    )
    settle(chain, {"198.18.1.0/24": 0, "203.0.113.0/24": 1, "198.18.2.0/24": 2})
    chain.service.stop()
    settle(chain, {})
    assert chain.service.returncode == 0
    chain.restart_service()
    settle(chain, {"198.18.1.0/24": 0, "203.0.113.0/24": 1, "198.18.2.0/24": 2})
