/** What the gateway sends: `/v1/swarm/events` as docs/api.md has it. What is not known is left out. */

export interface Place {
  place: string;
  node?: string;
  first_layer: number | null;
  last_layer: number | null;
  output?: boolean;
  share: number;
  weight_bytes?: number;
  cache_bytes?: number;
  compute_bytes?: number;
  total_bytes?: number;
  memory_bytes?: number;
}

export interface Model {
  name: string;
  backend: string;
  placement: string;
  plan?: string;
  places: Place[];
  waiting?: string;
  ready: boolean;
  state: "loaded" | "loading" | "waiting" | "failed" | "unloading" | "unloaded";
  reason?: string;
  progress?: number;
  coming?: { plan: string; places: Place[] };
}

export interface Way {
  address: string;
  kind?: "direct" | "relayed";
  network?: "here" | "lan" | "internet";
  rtt_seconds?: number;
  reason?: string;
}

export interface Member {
  name: string;
  node: string;
  service: string;
  addresses: string[];
  state: "reaching" | "usable" | "left_out" | "gone" | "announced";
  found?: string[];
  way?: Way;
  reason?: string;
  retry_seconds?: number;
  seen_seconds?: number;
  version?: string;
  memory_bytes?: number;
  memory_total_bytes?: number;
  devices?: string[];
  cores?: number;
  leased_by?: string;
  model?: string;
  models?: string[];
  role?: string;
}

export interface Answering {
  name: string;
  state: "ready" | "not_ready" | "draining" | "broken";
  models: string[];
  in_flight: number;
  node?: string;
  reason?: string;
  retry_seconds?: number;
  slots?: number;
  tokens_per_second?: number;
}

export interface Asked {
  id: string;
  at: string;
  route: string;
  model?: string;
  status: number | null;
  seconds: number;
  queue_ms: number;
  attempts: number;
  resumed: number;
  worker?: string;
  reason?: string;
  error?: string;
  phase?: "queued" | "reading" | "writing" | "over";
  queue_place?: number;
  completion_tokens: number;
  tokens_per_second?: number;
}

export interface Gateway {
  name: string;
  id: string;
  version: string;
  uptime_seconds: number;
  memory_total_bytes?: number;
  cores?: number;
  /** The id of the swarm it is in. */
  swarm?: string;
  /** Whether gateways that are offered may answer for it: else it does not look at them, nor do they see it. */
  federated: boolean;
}

export interface Swarm {
  gateway: Gateway;
  models: Model[];
  workers: Member[];
  nodes: Answering[];
  gateways: Member[];
  requests: Asked[];
}

export interface Sample {
  at: string;
  tokens_per_second: number;
  requests_per_second: number;
  failures_per_second: number;
  running: number;
  waiting: number;
  ready: number;
  first_piece_seconds?: number;
}

export interface Hello {
  operator: boolean;
  sample_seconds: number;
  samples: Sample[];
  refusal?: string;
}
