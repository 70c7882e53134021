/** Puts together who is who: offers, backends and this gateway itself become one row each. */

import type { Answering, Member, Swarm, Way } from "./documents";
import { short } from "./words";

export type Mark = "good" | "busy" | "wait" | "bad" | "gone";

export interface Row {
  key: string;
  name: string;
  kind: "this gateway" | "gateway" | "server" | "worker";
  role: string;
  mark: Mark;
  state: string;
  why: string;
  retrySeconds?: number;
  seenSeconds?: number;
  way?: Way;
  found: string[];
  version: string;
  memory?: number;
  memoryTotal?: number;
  devices: string[];
  cores?: number;
  models: string[];
  inFlight?: number;
  slots?: number;
  tokensPerSecond?: number;
  /** What to name when it is to be drained, and whether it is; nothing where it cannot be. */
  drain?: { node: string; draining: boolean };
}

const ANSWERING: Record<Answering["state"], [Mark, string]> = {
  ready: ["good", "ready"],
  not_ready: ["wait", "not ready"],
  draining: ["wait", "draining"],
  broken: ["bad", "left alone after failures"],
};
const STANDING: Record<Member["state"], [Mark, string]> = {
  reaching: ["wait", "being reached"],
  usable: ["good", "connected"],
  left_out: ["bad", "not connected"],
  gone: ["gone", "gone"],
  announced: ["wait", "announced; connected when asked"],
};

export function rowsOf(swarm: Swarm): Row[] {
  const ours = new Set(swarm.models.map((model) => model.backend));
  const own = swarm.nodes.filter((node) => ours.has(node.name));
  const others = new Map(swarm.nodes.filter((node) => !ours.has(node.name)).map((node) => [node.name, node]));
  const rows: Row[] = [here(swarm, own)];
  for (const peer of swarm.gateways) {
    const node = peer.state === "usable" ? others.get(peer.name) : undefined;
    others.delete(peer.name);
    rows.push(member(peer, "gateway", node));
  }
  for (const node of others.values()) rows.push(server(node));
  for (const worker of swarm.workers) rows.push(member(worker, "worker"));
  return rows;
}

function here(swarm: Swarm, own: Answering[]): Row {
  const ready = own.filter((node) => node.state === "ready").length;
  const row: Row = {
    key: "here",
    name: swarm.gateway.name,
    kind: "this gateway",
    role: "",
    mark: own.length === 0 || ready > 0 ? "good" : "wait",
    state: own.length === 0 ? "a door without models of its own" : ready > 0 ? "ready" : "not ready",
    why: ready > 0 ? "" : (own.find((node) => node.reason && node.reason !== "loading")?.reason ?? ""),
    found: [],
    version: swarm.gateway.version,
    devices: [],
    models: swarm.models.map((model) => model.name),
  };
  if (swarm.gateway.memory_total_bytes) row.memoryTotal = swarm.gateway.memory_total_bytes;
  if (swarm.gateway.cores) row.cores = swarm.gateway.cores;
  if (own.length > 0) {
    row.inFlight = sum(own.map((node) => node.in_flight));
    row.slots = sum(own.map((node) => node.slots ?? 0));
    row.tokensPerSecond = sum(own.map((node) => node.tokens_per_second ?? 0));
  }
  return row;
}

function server(node: Answering): Row {
  const [mark, state] = ANSWERING[node.state];
  const row: Row = {
    key: `server ${node.name}`,
    name: node.node ?? node.name,
    kind: "server",
    role: "",
    mark,
    state,
    why: node.reason ?? "",
    found: ["configuration"],
    version: "",
    devices: [],
    models: node.models,
  };
  return answering(row, node);
}

function member(of: Member, kind: "gateway" | "worker", node?: Answering): Row {
  const [mark, state] = node ? ANSWERING[node.state] : STANDING[of.state];
  const lent = of.model ? `holds a part of ${of.model}` : of.leased_by ? `lent to ${of.leased_by}` : "";
  const usable = of.state === "usable";
  const row: Row = {
    key: `${kind} ${of.node} ${of.name}`,
    name: of.name,
    kind,
    role: of.role ?? "",
    mark: usable && kind === "worker" && lent ? "busy" : mark,
    state: usable && kind === "worker" ? lent || "lends, unused" : state,
    why: node?.reason ?? of.reason ?? "",
    found: of.found ?? [],
    version: of.version ?? "",
    devices: of.devices ?? [],
    models: node?.models ?? of.models ?? [],
  };
  if (of.way) row.way = of.way;
  if (of.cores !== undefined) row.cores = of.cores;
  if (of.memory_bytes !== undefined) row.memory = of.memory_bytes;
  if (of.memory_total_bytes !== undefined) row.memoryTotal = of.memory_total_bytes;
  if (of.retry_seconds !== undefined) row.retrySeconds = of.retry_seconds;
  if (of.seen_seconds !== undefined) row.seenSeconds = of.seen_seconds;
  return node ? answering(row, node) : row;
}

function answering(row: Row, node: Answering): Row {
  row.inFlight = node.in_flight;
  if (node.slots !== undefined) row.slots = node.slots;
  if (node.tokens_per_second !== undefined) row.tokensPerSecond = node.tokens_per_second;
  if (node.retry_seconds !== undefined) row.retrySeconds = node.retry_seconds;
  row.drain = { node: node.name, draining: node.state === "draining" };
  return row;
}

/** Who answered, for people: an own backend's name says nothing by itself. */
export function answeredBy(worker: string, swarm: Swarm): string {
  const own = new Set(swarm.models.map((model) => model.backend));
  return worker
    .split(",")
    .map((name) => (own.has(name) ? `${swarm.gateway.name} (${name})` : short(name)))
    .join(", ");
}

/** Which kind of address bytes go to, in words. */
export function wayWords(way: Way): string {
  const network = { here: "this machine", lan: "LAN", internet: "internet" };
  const kind = way.kind === "relayed" ? "relayed" : "direct";
  return [kind, way.network ? network[way.network] : "", way.address.split("://")[0]].filter(Boolean).join(" · ");
}

function sum(numbers: number[]): number {
  return numbers.reduce((all, each) => all + each, 0);
}
