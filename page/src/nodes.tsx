/** Everybody this gateway knows of: what they are, how they are reached, and why not. */

import { ask } from "./gateway";
import { Dot, Order } from "./parts";
import { wayWords, type Row } from "./seen";
import { bytes, milliseconds, rate, short, span } from "./words";

export function Nodes({ rows, operator, age }: { rows: Row[]; operator: boolean; age: number }) {
  return (
    <ul class="cards">
      {rows.map((row) => (
        <Node key={row.key} row={row} operator={operator} age={age} />
      ))}
    </ul>
  );
}

function Node({ row, operator, age }: { row: Row; operator: boolean; age: number }) {
  const { drain } = row;
  return (
    <li class={`card node ${row.mark}`} data-node={row.name}>
      <div class="card-head">
        <h3 title={row.name}>{short(row.name)}</h3>
        <span class="kind">{row.role ? `${row.kind}, ${row.role}` : row.kind}</span>
      </div>
      <p class="state">
        <Dot mark={row.mark} /> {row.state}
      </p>
      {row.why && <p class="why">{row.why}</p>}
      <dl class="facts">{facts(row, age)}</dl>
      {operator && drain && (
        <p class="acts">
          <Order
            label={drain.draining ? "Take back in" : "Drain"}
            what={row.name}
            act={() => ask("/v1/swarm/drain", { node: drain.node, drain: !drain.draining })}
          />
        </p>
      )}
    </li>
  );
}

function facts(row: Row, age: number) {
  const told: [string, string][] = [];
  if (row.way) told.push(["Reached", wayWords(row.way)]);
  if (row.way?.rtt_seconds !== undefined) told.push(["Round trip", milliseconds(row.way.rtt_seconds)]);
  if (row.way?.reason) told.push(["Note", row.way.reason]);
  if (row.retrySeconds !== undefined) {
    const left = row.retrySeconds - age;
    told.push(["Next try", left > 0.5 ? `in ${span(Math.ceil(left))}` : "now"]);
  }
  if (row.seenSeconds !== undefined) {
    told.push(["Last seen", row.seenSeconds === 0 ? "now" : `${span(row.seenSeconds + age)} ago`]);
  } else if (row.kind === "gateway" || row.kind === "worker") {
    told.push(["Last seen", "never"]);
  }
  if (row.slots) told.push(["Slots", `${row.inFlight ?? 0} of ${row.slots} taken`]);
  else if (row.inFlight) told.push(["Answering", String(row.inFlight)]);
  if (row.tokensPerSecond !== undefined) told.push(["Tokens/s", rate(row.tokensPerSecond)]);
  if (row.memory !== undefined) {
    const total = row.memoryTotal ? ` of ${bytes(row.memoryTotal)}` : "";
    told.push(["Memory", `${bytes(row.memory)}${total} free`]);
  } else if (row.memoryTotal) {
    told.push(["Memory", bytes(row.memoryTotal)]);
  }
  const devices = [row.devices.join(", "), row.cores ? `${row.cores} cores` : ""].filter(Boolean).join(" · ");
  if (devices) told.push(["Devices", devices]);
  if (row.models.length > 0) told.push(["Models", row.models.join(", ")]);
  if (row.found.length > 0) told.push(["Found by", row.found.join(", ")]);
  if (row.version) told.push(["Version", row.version]);
  return told.map(([name, value]) => (
    <div key={name}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  ));
}
