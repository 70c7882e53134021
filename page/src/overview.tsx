/** What is going on, at a glance: how things hang together, and the lines of the last five minutes. */

import type { Sample, Swarm } from "./documents";
import { Dot } from "./parts";
import type { Row } from "./seen";
import { counted, milliseconds, rate, short, span } from "./words";

const MOST = 8;

/** Clients, this gateway, and everybody it turns to. */
export function Topology({ rows, swarm }: { rows: Row[]; swarm: Swarm }) {
  const others = rows.filter((row) => row.kind !== "this gateway" && row.mark !== "gone");
  const shown = others.slice(0, MOST);
  const here = rows[0];
  const leaves = shown.length + (others.length > MOST ? 1 : 0);
  const usable = others.filter((row) => row.mark === "good" || row.mark === "busy").length;
  const told = `Clients ask ${swarm.gateway.name}, which turns to ${counted(others.length, "other node")}, ${usable} of them connected.`;
  return (
    <div class="topology" role="img" aria-label={told}>
      <div class="hub client">
        <strong>Clients</strong>
        <small>OpenAI, Anthropic, Ollama</small>
      </div>
      <svg class="wire" viewBox="0 0 40 8" preserveAspectRatio="none" aria-hidden="true">
        <path d="M0 4H40" class="link good" />
      </svg>
      <div class="hub">
        <strong>{swarm.gateway.name}</strong>
        <small>{here?.slots ? `${here.inFlight ?? 0} of ${here.slots} slots taken` : "this gateway"}</small>
      </div>
      {shown.length > 0 && (
        <div class="fan">
          <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
            {shown.map((row, index) => {
              const y = ((index + 0.5) * 100) / leaves;
              return <path key={row.key} class={`link ${row.mark}`} d={`M0 50C50 50 50 ${y} 100 ${y}`} />;
            })}
          </svg>
        </div>
      )}
      {shown.length > 0 && (
        <ul class="leaves">
          {shown.map((row) => (
            <li key={row.key}>
              <Dot mark={row.mark} />
              <span class="leaf">
                <strong>{short(row.name)}</strong>
                <small>
                  {row.kind}
                  {row.way?.rtt_seconds !== undefined && ` · ${milliseconds(row.way.rtt_seconds)}`}
                </small>
              </span>
            </li>
          ))}
          {others.length > MOST && <li class="more">and {others.length - MOST} more below</li>}
        </ul>
      )}
    </div>
  );
}

interface Line {
  title: string;
  unit: string;
  of: (sample: Sample) => number | undefined;
  say: (value: number) => string;
}

const LINES: Line[] = [
  { title: "Tokens written", unit: "per second", of: (s) => s.tokens_per_second, say: rate },
  { title: "First piece", unit: "after", of: (s) => s.first_piece_seconds, say: span },
  { title: "Being answered", unit: "requests", of: (s) => s.running, say: String },
  { title: "Waiting", unit: "requests", of: (s) => s.waiting, say: String },
  { title: "Answered", unit: "per second", of: (s) => s.requests_per_second, say: rate },
  { title: "Failed", unit: "per second", of: (s) => s.failures_per_second, say: rate },
];

export function Sparklines({ samples }: { samples: Sample[] }) {
  return (
    <ul class="lines">
      {LINES.map((line) => (
        <Spark key={line.title} line={line} samples={samples} />
      ))}
    </ul>
  );
}

const WIDTH = 150;
const HEIGHT = 36;

function Spark({ line, samples }: { line: Line; samples: Sample[] }) {
  const points = samples
    .map((sample, index) => ({ x: WIDTH - samples.length + index, value: line.of(sample) }))
    .filter((point): point is { x: number; value: number } => point.value !== undefined);
  const highest = Math.max(...points.map((point) => point.value), 0);
  const last = points.at(-1)?.value;
  const path = points
    .map(({ x, value }, index) => `${index ? "L" : "M"}${x} ${(HEIGHT - 2 - (highest ? value / highest : 0) * (HEIGHT - 4)).toFixed(1)}`)
    .join("");
  const peak = highest > 0 ? `, at most ${line.say(highest)}` : "";
  const told = last === undefined ? "nothing yet" : `${line.say(last)} ${line.unit === "after" ? "" : line.unit} now${peak} in five minutes`;
  return (
    <li>
      <span class="title">{line.title}</span>
      <span class="number">
        {last === undefined ? "–" : line.say(last)}
        {line.unit !== "after" && <small> {line.unit}</small>}
      </span>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${line.title}: ${told}`}>
        <path class="base" d={`M0 ${HEIGHT - 2}H${WIDTH}`} />
        {path && points.length > 1 && (
          <path class="area" d={`${path}L${points.at(-1)?.x} ${HEIGHT - 2}L${points[0]?.x} ${HEIGHT - 2}Z`} />
        )}
        {path && <path class="stroke" d={points.length > 1 ? path : `${path}h0`} />}
      </svg>
    </li>
  );
}
