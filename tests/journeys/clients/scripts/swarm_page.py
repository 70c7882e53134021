"""Looks at the Swarm page in a real Chromium; prints a line of JSON after each step, and waits for a word to go on.

Usage: swarm_page.py CHROMIUM SCENARIO URL [ARGUMENT...]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route, sync_playwright

SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 360, "height": 740}}


def say(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def wait() -> None:
    if sys.stdin.readline() != "go\n":
        raise SystemExit("nobody says go any more")


def opened(browser: Browser, url: str, **context: Any) -> Page:
    """Return the page, once it is live."""
    page = browser.new_context(reduced_motion="reduce", **context).new_page()
    page.set_default_timeout(60_000)
    page.goto(url)
    page.get_by_text("Live", exact=True).wait_for()
    return page


def company(browser: Browser, url: str, name: str) -> None:
    """See the node called *name* come and go, without touching the page."""
    page = opened(browser, url)
    card = page.locator(f'[data-node="{name}"]')
    say(known=card.count(), alone=page.get_by_text("This gateway is alone.").count())
    wait()
    card.get_by_text("ready", exact=True).wait_for()
    say(card=card.inner_text(), drawn=page.locator(".leaves").inner_text())
    wait()
    card.locator(".why").wait_for()
    say(card=card.inner_text())
    wait()
    card.get_by_text("ready", exact=True).wait_for()
    say(card=card.inner_text(), loaded=page.evaluate("performance.getEntriesByType('navigation').length"))


def acts(browser: Browser, url: str) -> None:
    """Show and copy the token, chat, stop a chat, drain a node and take it back in."""
    page = opened(browser, url, permissions=["clipboard-read", "clipboard-write"])
    before = page.content()
    page.get_by_role("button", name="Show the token").click()
    page.get_by_role("button", name="Copy the token").click()
    page.get_by_text("Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("button", name="Show as a QR code").click()
    page.get_by_role("img", name="The token as a QR code").wait_for()
    page.get_by_role("button", name="Hide", exact=True).click()
    say(copied=copied, before=copied in before, after=copied in page.content())

    message, answer = page.get_by_role("textbox", name="Message"), page.get_by_label("Answer", exact=True)
    message.fill("one two three four five six seven eight")
    message.press("Enter")
    answer.get_by_text("two").wait_for()
    begun = answer.locator(".text").inner_text()
    page.get_by_role("button", name="Send").wait_for()
    say(begun=begun, whole=answer.locator(".text").inner_text(), by=answer.locator(".by").inner_text())

    message.fill("word " * 500)
    page.get_by_role("button", name="Send").click()
    answer.last.get_by_text("word").first.wait_for()
    page.get_by_role("button", name="Stop").click()
    answer.last.get_by_text("stopped").wait_for()
    page.get_by_role("row").get_by_text("client left").first.wait_for()
    say(stopped=len(answer.last.locator(".text").inner_text()))

    model = page.locator('[data-model="parrot"]')
    model.get_by_role("button", name="Drain").click()
    model.get_by_text("draining", exact=True).wait_for()
    say(drained=True)
    wait()
    model.get_by_role("button", name="Take back in").click()
    model.get_by_text("loaded", exact=True).wait_for()
    page.once("dialog", lambda dialog: dialog.accept())
    model.get_by_role("button", name="Unload").click()
    model.get_by_text("unloaded", exact=True).wait_for()
    model.get_by_role("button", name="Load").click()
    model.get_by_text("loaded", exact=True).wait_for()
    say(done=True)


def contents(route: Route) -> list[str]:
    """Return what the messages say that the page sends."""
    return [each["content"] for each in route.request.post_data_json["messages"]]


def talk(browser: Browser, url: str) -> None:
    """Read an answer in Markdown, up from its end while it is written; ask what is refused; go by keyboard alone."""
    page = opened(browser, url)
    sent: list[list[str]] = []
    page.route("**/v1/chat/completions", lambda route: (sent.append(contents(route)), route.continue_()))
    message, answer = page.get_by_role("textbox", name="Message"), page.get_by_label("Answer", exact=True)
    send, log = page.get_by_role("button", name="Send"), page.get_by_label("Conversation")
    markdown = "# Two\n\n- **one** is `1`\n- <b>two</b>\n\n```python\nif a * b * c:\n    pass\n```"
    message.fill(markdown)
    message.press("Enter")
    send.wait_for()
    written = answer.locator(".text")
    say(
        code=written.locator("pre").inner_text(),
        items=written.locator("li").all_inner_texts(),
        strong=written.locator("strong").all_inner_texts(),
        copies=page.get_by_role("button", name="Copy the code").count(),
        alien=written.locator("b").count(),
    )
    message.fill("long " * 5000)
    message.press("Enter")
    refused = answer.last.get_by_role("alert").inner_text()
    send.wait_for()  # until then nothing else can be sent
    message.fill("line " * 900)
    message.press("Enter")
    answer.last.get_by_text("line").first.wait_for()
    page.wait_for_function("(log) => log.scrollTop > 100", arg=log.element_handle())
    log.evaluate("(log) => { log.scrollTop = 0 }")
    page.wait_for_function(
        "([log, before]) => log.innerText.length > before + 20",
        arg=[log.element_handle(), len(log.inner_text())],
    )
    stayed = log.evaluate("(log) => log.scrollTop")
    page.get_by_role("button", name="Stop").press("Enter")
    answer.last.get_by_text("stopped").wait_for()
    say(
        refused=refused,
        shown=page.get_by_label("You", exact=True).count(),
        again=[text[:4] for text in sent[-1]],
        scrolled=stayed,
        focus=page.evaluate("document.activeElement.tagName"),
    )
    token = page.get_by_role("button", name="Show the token")
    token.press("Enter")
    page.get_by_role("button", name="Hide", exact=True).wait_for()
    shown = page.evaluate("document.activeElement.id")
    page.get_by_role("button", name="Hide", exact=True).press("Enter")
    token.wait_for()
    say(shown=shown, hidden=page.evaluate("document.activeElement.textContent"))


def outside(browser: Browser, url: str) -> None:
    """Look at what a gateway says of joining that is not federated, or in no swarm."""
    page = opened(browser, url)
    page.get_by_label("Federated node").check()
    join = page.locator("#join")
    say(told=join.inner_text(), token=page.get_by_role("button", name="Show the token").count())


def locked(browser: Browser, url: str, key: str) -> None:
    """Be asked for a key, give a wrong one, then the right one; and have it forgotten."""
    page = browser.new_context().new_page()
    page.goto(url)
    field = page.get_by_label("API key", exact=True)
    field.wait_for()
    page.keyboard.type("wrong")  # the only thing to do here, so it has the focus
    page.get_by_role("button", name="Open").click()
    complaint = page.get_by_role("alert").inner_text()
    field.fill(key)
    field.press("Enter")
    page.get_by_text("Live", exact=True).wait_for()
    kept = page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]")
    page.reload()
    page.get_by_text("Live", exact=True).wait_for()
    page.get_by_role("button", name="Forget the key").click()
    field.wait_for()
    say(complaint=complaint, kept=kept, url=page.url, left=page.evaluate("sessionStorage.length"))


def looks(browser: Browser, url: str, axe: str, folder: str) -> None:
    """Look at it in both themes and sizes, and have axe-core look; leave screenshots in *folder*."""
    source = Path(axe).read_text(encoding="utf-8")
    for theme in ("light", "dark"):
        for size, viewport in SIZES.items():
            hosts: set[str] = set()
            complaints: list[str] = []
            context = browser.new_context(viewport=viewport, color_scheme=theme, reduced_motion="reduce")
            page = context.new_page()
            page.on("request", lambda request, hosts=hosts: hosts.add(request.url.split("/")[2]))
            page.on("console", lambda line, seen=complaints: seen.append(f"{line.type}: {line.text}"))
            page.on("pageerror", lambda error, seen=complaints: seen.append(str(error)))
            page.goto(url)
            page.get_by_text("Live", exact=True).wait_for()
            page.locator('[data-model="parrot"]').wait_for()
            page.keyboard.press("Tab")
            first = page.evaluate("document.activeElement.textContent")
            page.get_by_role("button", name="Show the token").click()
            page.get_by_role("button", name="Show as a QR code").click()
            page.screenshot(path=f"{folder}/{size}-{theme}.png", full_page=True)
            page.evaluate(source)
            found = page.evaluate("async () => (await axe.run()).violations")
            width = page.evaluate("document.documentElement.scrollWidth")
            say(
                look=f"{size}-{theme}",
                faults=[f"{each['impact']} {each['id']} {each['nodes'][0]['target']}" for each in found],
                hosts=sorted(hosts),
                complaints=complaints,
                wider=width - viewport["width"],
                first=first,
            )
            context.close()


SCENARIOS: dict[str, Callable[..., None]] = {
    "company": company,
    "acts": acts,
    "talk": talk,
    "outside": outside,
    "locked": locked,
    "looks": looks,
}


def main() -> None:
    chromium, scenario, *arguments = sys.argv[1:]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        SCENARIOS[scenario](browser, *arguments)
        browser.close()


main()
