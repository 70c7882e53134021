from __future__ import annotations

from random import Random

import msgspec
import pytest
from swarmgate.errors import ConfigError
from virtual.nodes import CHARACTERS
from virtual.traces import BLOCK_TOKENS, Recorded, Replay, read_trace, room_for
from virtual.workloads import EVEN


def mooncake(requests: int) -> list[str]:
    """Return a made-up trace in the form of Mooncake's: every prompt begins with block 0."""
    dice, lines = Random(1), list[str]()
    for number in range(requests):
        blocks = [0, *range(10 * number + 1, 10 * number + dice.randrange(2, 9))]
        row = {
            "timestamp": number * 500,
            "input_length": len(blocks) * BLOCK_TOKENS - dice.randrange(100),
            "output_length": dice.randrange(1, 50),
            "hash_ids": blocks,
        }
        lines.append(msgspec.json.encode(row).decode())
    return lines


SERVEGEN = ["request_id,timestamp,input_tokens,output_tokens,reason_ratio", "0,0.5,10,20,0.1", "1,1.25,15,25,0.2"]


def test_mooncake_is_json_lines_in_milliseconds() -> None:
    """Times become seconds; fields that are not needed may be there, hash_ids may be missing."""
    lines = [
        '{"timestamp": 0, "input_length": 600, "output_length": 7, "hash_ids": [3, 4], "type": "text"}',
        "",
        '{"timestamp": 2500, "input_length": 5, "output_length": 1}',
    ]
    assert read_trace("t", lines) == (Recorded(0.0, 600, 7, (3, 4)), Recorded(2.5, 5, 1))


def test_servegen_is_csv_in_seconds() -> None:
    """Columns are found by their names, in whatever order, others are left aside."""
    assert read_trace("t", SERVEGEN) == (Recorded(0.5, 10, 20), Recorded(1.25, 15, 25))
    assert read_trace("t", ["output_tokens,timestamp,input_tokens", "7,0,5"]) == (Recorded(0.0, 5, 7),)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "trace t is empty, expected JSON lines (Mooncake) or CSV with a header (ServeGen)"),
        (['{"timestamp": 0, "input_length": 1}'], "line 1: object missing required field `output_length`; mend or"),
        (
            ['{"timestamp": 0, "input_length": 1, "output_length": 1}', "{"],
            "line 2: input data was truncated; mend or remove the line",
        ),
        (
            ['{"timestamp": 0, "input_length": 0, "output_length": 1}'],
            "line 1: expected `int` >= 1 - at `$.input_length`",
        ),
        (
            ['{"timestamp": 0, "input_length": 600, "output_length": 1, "hash_ids": [1]}'],
            "line 1: 1 hash_ids for an input_length of 600; give 2, one for each 512 tokens, or none",
        ),
        (
            [
                '{"timestamp": 9000, "input_length": 1, "output_length": 1}',
                '{"timestamp": 10, "input_length": 1, "output_length": 1}',
            ],
            "line 2: timestamp goes back, from 9 s to 0.01 s; sort the file by it",
        ),
        (["timestamp,input_tokens", "0,1"], "line 1: neither JSON nor a header with output_tokens; begin with a line"),
        ([SERVEGEN[0], "0,0.5,10"], "line 2: 3 cells below a header of 5; mend or remove the line"),
        ([SERVEGEN[0], "0,soon,10,20,0"], "line 2: timestamp is 'soon'; give a number of at least 0"),
        ([SERVEGEN[0], "0,1,nan,20,0"], "line 2: input_tokens is 'nan'; give a number of at least 1"),
        ([SERVEGEN[0], "0,1,2.5,20,0"], "line 2: input_tokens is '2.5'; give a whole number up to 1000000"),
        ([SERVEGEN[0], "0,1,2e9,20,0"], "line 2: input_tokens is '2e9'; give a whole number up to 1000000"),
        ([SERVEGEN[0]], "trace t has a header and no requests below it; write one line for each request"),
    ],
)
def test_a_fault_is_named_with_its_line_and_remedy(lines: list[str], message: str) -> None:
    """Whoever wrote the file learns where to look and what to do."""
    with pytest.raises(ConfigError) as caught:
        read_trace("t", lines)
    assert message in str(caught.value)


def test_prompts_share_what_their_blocks_share() -> None:
    """Prompts have their lengths, begin alike as far as their ids are equal, and differ after that."""
    clients = Replay(read_trace("t", mooncake(20))).clients(Random(1), EVEN, 20, 1.0)
    prompts = [client.requests[0].prompt for client in clients]
    recorded = read_trace("t", mooncake(20))
    assert [len(prompt) for prompt in prompts] == [one.prompt * CHARACTERS for one in recorded]
    block = BLOCK_TOKENS * CHARACTERS
    assert len({prompt[:block] for prompt in prompts}) == 1
    assert len({prompt[block : block + 16] for prompt in prompts}) == 20


def test_a_trace_without_blocks_shares_nothing() -> None:
    """Prompts of a ServeGen trace begin like no other."""
    clients = Replay(read_trace("t", SERVEGEN)).clients(Random(1), EVEN, 2, 1.0)
    one, other = (client.requests[0] for client in clients)
    assert one.prompt[:8] != other.prompt[:8]
    assert (len(one.prompt), one.tokens, other.tokens) == (10 * CHARACTERS, 20, 25)


def test_speed_scales_the_times_and_the_load() -> None:
    """Twice as fast, requests come in half the time and ask for twice as much of the machines."""
    recorded = read_trace("t", mooncake(20))
    slow, fast = Replay(recorded), Replay(recorded, speed=2.0)
    times = [[client.requests[0].pause for client in each.clients(Random(1), EVEN, 20, 1.0)] for each in (slow, fast)]
    assert times[0] == [number * 0.5 for number in range(20)]
    assert times[1] == [number * 0.25 for number in range(20)]
    assert fast.load(EVEN) == pytest.approx(2 * slow.load(EVEN))


def test_each_seed_has_another_stretch() -> None:
    """Of a long trace so many that followed one another, from time 0; of a short one everything."""
    replay = Replay(read_trace("t", mooncake(50)))
    one, same, other = (replay.clients(Random(seed), EVEN, 10, 1.0) for seed in (1, 1, 2))
    assert one == same != other
    assert len(one) == 10
    assert one[0].requests[0].pause == 0.0
    assert len(replay.clients(Random(1), EVEN, 100, 1.0)) == 50


def test_machines_are_given_room() -> None:
    """For a request longer than the machines hold, memory and context grow; for short ones nothing changes."""
    long = [Recorded(0.0, 40_000, 1000)]
    assert {(machine.memory, machine.context) for machine in room_for(EVEN, long)} == {(164_000, 41_000)}
    assert room_for(EVEN, [Recorded(0.0, 10, 10)]) == EVEN
