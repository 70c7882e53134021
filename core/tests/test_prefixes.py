from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st
from swarmgate.chat import ChatPrompt, FunctionCall, Message, TextPrompt, TokenPrompt, Tool
from swarmgate.prefixes import BLOCK_CHARACTERS, BLOCK_TOKENS, MOST_BLOCKS, Prefixes, blocks_of

SYSTEM = Message(role="system", content="s" * 3 * BLOCK_CHARACTERS)


def chat(*messages: Message) -> ChatPrompt:
    return ChatPrompt(messages=messages)


def test_prompts_that_begin_alike_share_their_first_blocks() -> None:
    """And none after the first difference, even where the text is the same again."""
    text = "x" * 5 * BLOCK_CHARACTERS
    one, two = blocks_of(TextPrompt(text=text)), blocks_of(TextPrompt(text=text[:1000] + "y" + text[1001:]))
    assert len(one) == len(two) == 5
    assert [a == b for a, b in zip(one, two, strict=True)] == [True, False, False, False, False]
    assert len(set(one)) == 5


def test_a_conversation_goes_on_from_its_beginning() -> None:
    """The next turn's blocks begin with those of the last one."""
    ask = Message(role="user", content="what? " * 100)
    first = blocks_of(chat(SYSTEM, ask))
    second = blocks_of(chat(SYSTEM, ask, Message(role="assistant", content="that. " * 100), ask))
    assert first
    assert second[: len(first)] == first
    assert blocks_of(chat(Message(role="user", content=SYSTEM.content)))[0] != first[0]


def test_tools_and_calls_are_part_of_a_prompt() -> None:
    """Two chats that differ in either have no blocks in common from there on."""
    tool = ChatPrompt(messages=(SYSTEM,), tools=(Tool(name="t"),))
    assert blocks_of(tool)[0] != blocks_of(chat(SYSTEM))[0]
    calls = tuple(FunctionCall(id="1", name="f", arguments=argument * BLOCK_CHARACTERS) for argument in "ab")
    one, two = (blocks_of(chat(Message(role="assistant", tool_calls=(call,)))) for call in calls)
    assert one != two


def test_tokens_are_cut_as_long() -> None:
    """A block of tokens stands for as much as one of text."""
    ids = tuple(range(3 * BLOCK_TOKENS + 1))
    blocks = blocks_of(TokenPrompt(ids=ids))
    assert len(blocks) == 3
    assert blocks_of(TokenPrompt(ids=ids[: 2 * BLOCK_TOKENS])) == blocks[:2]


def test_short_prompts_have_no_blocks() -> None:
    """Less than a block is not worth a name."""
    assert blocks_of(TextPrompt(text="hello")) == blocks_of(TokenPrompt(ids=(1, 2))) == ()


def test_naming_is_cheap_however_long_the_prompt() -> None:
    """Thirty megabytes of messages take no longer than their beginning; half characters are no fault."""
    prompt = chat(*(Message(role="user", content="\ud800" + "x" * 30_000) for _ in range(1000)))
    began = time.monotonic()
    assert len(blocks_of(prompt)) == MOST_BLOCKS
    assert time.monotonic() - began < 0.5


def test_what_was_used_last_is_kept_longest() -> None:
    """Beyond its capacity a place forgets whole ends of what was unheard of for longest."""
    prefixes = Prefixes(capacity_tokens=4 * BLOCK_TOKENS)
    prefixes.add((1, 2))
    prefixes.add((11, 12))
    prefixes.add((1, 2))
    prefixes.add((21,))
    assert [prefixes.held_tokens(blocks) // BLOCK_TOKENS for blocks in ((1, 2), (11, 12), (21,))] == [2, 1, 1]
    assert repr(prefixes) == "<Prefixes, 4 of 4 blocks>"
    prefixes.clear()
    assert prefixes.held_tokens((1, 2)) == 0


@given(st.lists(st.lists(st.integers(0, 2), max_size=6), max_size=40))
def test_to_hold_a_beginning_is_to_hold_all_before_it(branches: list[list[int]]) -> None:
    """After any history within its bounds, what is found by halves is what is found one by one."""
    prefixes = Prefixes(capacity_tokens=7 * BLOCK_TOKENS)
    prompts = [tuple(hash(tuple(way[: end + 1])) for end in range(len(way))) for way in branches]
    for blocks in prompts:
        prefixes.add(blocks)
        assert len(prefixes._held) <= 7
        for other in prompts:
            held = [block in prefixes._held for block in other]
            assert held == sorted(held, reverse=True)
            assert prefixes.held_tokens(other) == sum(held) * BLOCK_TOKENS
