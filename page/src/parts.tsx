/** Small parts that several views share. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Mark } from "./seen";

/** A state by shape and colour, beside the words that say it. */
export function Dot({ mark }: { mark: Mark }) {
  const shapes: Record<Mark, ComponentChildren> = {
    good: <circle cx="6" cy="6" r="5" />,
    busy: <path d="M6 .5 11.5 6 6 11.5.5 6z" />,
    wait: <path d="M6 1a5 5 0 1 0 5 5H8.6A2.6 2.6 0 1 1 6 3.4z" />,
    bad: <path d="M6 .6 11.8 11H.2z" />,
    gone: <path d="M2 2l8 8M10 2l-8 8" class="line" />,
  };
  return (
    <svg class={`dot ${mark}`} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      {shapes[mark]}
    </svg>
  );
}

export function Section(props: { id: string; title: string; note?: string; children: ComponentChildren }) {
  return (
    <section id={props.id} aria-labelledby={`${props.id}-title`}>
      <header class="head">
        <h2 id={`${props.id}-title`}>{props.title}</h2>
        {props.note && <p class="note">{props.note}</p>}
      </header>
      {props.children}
    </section>
  );
}

/** Copies a text, and says that it did. */
export function Copy({ text, what }: { text: string; what: string }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => setSaid(""), 2500);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => setSaid((await copied(text)) ? "Copied" : "Select it and copy by hand");
  return (
    <button type="button" class="quiet" onClick={() => void copy()} aria-label={`Copy ${what}`}>
      <span role="status">{said || "Copy"}</span>
    </button>
  );
}

async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // over plain HTTP from another machine browsers keep the clipboard to themselves, but for this
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export function Command({ text, what }: { text: string; what: string }) {
  return (
    <div class="command">
      <pre tabIndex={0} aria-label={what}>
        <code>{text}</code>
      </pre>
      <Copy text={text} what={what} />
    </div>
  );
}

export interface Choice {
  id: string;
  label: string;
}

/** One of several, as radio buttons that look like a switch. */
export function Pick(props: { name: string; label: string; choices: Choice[]; chosen: string; pick: (id: string) => void }) {
  return (
    <fieldset class="pick">
      <legend>{props.label}</legend>
      {props.choices.map(({ id, label }) => (
        <label key={id} class={id === props.chosen ? "chosen" : ""}>
          <input
            type="radio"
            name={props.name}
            checked={id === props.chosen}
            onChange={() => props.pick(id)}
          />
          {label}
        </label>
      ))}
    </fieldset>
  );
}

/** A button whose work takes a while and may fail: the reason is shown beside it. */
export function Order(props: { label: string; act: () => Promise<unknown>; ask?: string; what: string }) {
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState("");
  const there = useRef(true);
  useEffect(() => () => void (there.current = false), []);
  const run = async () => {
    if (busy) return;
    if (props.ask && !confirm(props.ask)) return;
    setBusy(true);
    setFault("");
    try {
      await props.act();
    } catch (error) {
      if (there.current) setFault(String((error as Error).message));
    } finally {
      if (there.current) setBusy(false);
    }
  };
  return (
    <span class="order">
      <button type="button" class="quiet" aria-disabled={busy} onClick={() => void run()} aria-label={`${props.label} ${props.what}`}>
        {busy ? "…" : props.label}
      </button>
      {fault && (
        <span class="fault" role="alert">
          {fault}
        </span>
      )}
    </span>
  );
}
