/** The Swarm page. */

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Chat } from "./chat";
import { heldKey, holdKey } from "./gateway";
import { Join } from "./join";
import { useLive, type Link, type Live } from "./live";
import { Models } from "./models";
import { Nodes } from "./nodes";
import { Sparklines, Topology } from "./overview";
import { Section } from "./parts";
import { Requests } from "./requests";
import { rowsOf } from "./seen";
import { counted, span } from "./words";

const LINKS: Record<Link, string> = {
  connecting: "Connecting…",
  live: "Live",
  lost: "Connection lost, trying again…",
  locked: "An API key is needed",
};
const SECTIONS = [
  ["nodes", "Nodes"],
  ["models", "Models"],
  ["requests", "Requests"],
  ["chat", "Chat"],
  ["join", "Join"],
] as const;

function App() {
  const [turn, setTurn] = useState(0);
  const live = useLive(turn);
  const now = useNow();
  const age = live.at ? Math.max((now - live.at) / 1000, 0) : 0;
  const swarm = live.swarm;
  const wasLocked = useRef(false);
  useEffect(() => {
    if (live.link === "live" && wasLocked.current) document.getElementById("main")?.focus({ preventScroll: true });
    if (live.link === "live" || live.link === "locked") wasLocked.current = live.link === "locked";
  }, [live.link]);
  useEffect(() => {
    document.title = swarm ? `${swarm.gateway.name} · Swarm` : "Swarm · Swarmgate";
  }, [swarm?.gateway.name]);
  const again = (key: string) => {
    holdKey(key);
    setTurn(turn + 1);
  };
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <div class="brand">
          <img src="/page/icon.svg" alt="" width="28" height="28" />
          <h1>Swarm</h1>
        </div>
        {swarm && (
          <nav aria-label="Parts of this page">
            {SECTIONS.map(([id, title]) => (
              <a key={id} href={`#${id}`}>
                {title}
              </a>
            ))}
          </nav>
        )}
        <p class={`link-state ${live.link}`} role="status">
          <span class="beacon" aria-hidden="true" />
          {LINKS[live.link]}
        </p>
        {live.link !== "locked" && heldKey() && (
          <button type="button" class="quiet" onClick={() => again("")}>
            Forget the key
          </button>
        )}
      </header>
      <main id="main" tabIndex={-1}>
        {live.link === "locked" ? (
          <KeyWanted complaint={live.complaint} give={again} />
        ) : swarm ? (
          <Views live={live} age={age} />
        ) : (
          <p class="empty">Looking for the gateway…</p>
        )}
      </main>
    </>
  );
}

function Views({ live, age }: { live: Live; age: number }) {
  const swarm = live.swarm;
  if (!swarm) return null;
  const rows = rowsOf(swarm);
  const others = rows.filter((row) => row.kind !== "this gateway");
  const running = swarm.requests.filter((asked) => asked.phase !== "over").length;
  const up = span(swarm.gateway.uptime_seconds + age);
  return (
    <div class={live.link === "lost" ? "views stale" : "views"}>
      <section id="overview" aria-label="Overview">
        <p class="intro">
          <strong>{swarm.gateway.name}</strong> · version {swarm.gateway.version} · up {up}
          {!live.operator && <span class="note"> · you may look, not change: {live.refusal}</span>}
        </p>
        <Topology rows={rows} swarm={swarm} />
        <Sparklines samples={live.samples} />
      </section>
      <Section id="nodes" title="Nodes" note={others.length > 0 ? `${counted(others.length, "other")} known` : ""}>
        <Nodes rows={rows} operator={live.operator} age={age} />
        {others.length === 0 && (
          <p class="empty">
            This gateway is alone. <a href="#join">Let another machine join</a>: it lends its memory or answers too, and
            shows up here by itself.{!swarm.gateway.swarm && " First this gateway has to be in a swarm; see there how."}
          </p>
        )}
      </Section>
      <Section id="models" title="Models" note="what lies where">
        <Models swarm={swarm} operator={live.operator} />
        {swarm.models.length === 0 && swarm.nodes.length === 0 && (
          <p class="empty">
            No model is served. Start the gateway with <code>--model model.gguf</code>, or let a node join that has one.
          </p>
        )}
      </Section>
      <Section id="requests" title="Requests" note={running > 0 ? `${running} under way` : "none under way"}>
        <Requests swarm={swarm} />
      </Section>
      <Section id="chat" title="Chat">
        <Chat swarm={swarm} />
      </Section>
      <Section id="join" title="Join" note="let another machine in">
        <Join operator={live.operator} refusal={live.refusal} gateway={swarm.gateway} />
      </Section>
    </div>
  );
}

function KeyWanted({ complaint, give }: { complaint: string; give: (key: string) => void }) {
  const [key, setKey] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), [complaint]);
  return (
    <form
      class="panel key"
      onSubmit={(event) => {
        event.preventDefault();
        give(key.trim());
      }}
    >
      <h2>This gateway asks for an API key</h2>
      <p class="note">It is kept until you close this tab, and sent to this gateway alone.</p>
      <label>
        API key
        <input
          ref={field}
          type="password"
          autocomplete="off"
          required
          value={key}
          aria-invalid={complaint ? "true" : "false"}
          aria-describedby={complaint ? "complaint" : undefined}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
      </label>
      {complaint && (
        <p class="why" id="complaint" role="alert">
          {complaint}
        </p>
      )}
      <button type="submit">Open</button>
    </form>
  );
}

function useNow(): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

const root = document.getElementById("app");
if (root) render(<App />, root);
