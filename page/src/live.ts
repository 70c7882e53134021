/** The state of the swarm, kept up to date by one stream that is opened again whenever it breaks. */

import { useEffect, useState } from "preact/hooks";
import type { Hello, Sample, Swarm } from "./documents";
import { ask, eventsOf, heldKey, KeyWanted } from "./gateway";

export type Link = "connecting" | "live" | "lost" | "locked";

export interface Live {
  link: Link;
  swarm: Swarm | null;
  /** When `swarm` came, by this machine's clock: what only grows older is counted on from there. */
  at: number;
  operator: boolean;
  refusal: string;
  samples: Sample[];
  /** Why a key is asked for again. */
  complaint: string;
}

const BEGUN: Live = {
  link: "connecting", swarm: null, at: 0, operator: false, refusal: "", samples: [], complaint: "",
};
/** Five minutes of samples. */
const KEPT = 150;
/** A sample comes every two seconds: after so many without any the stream is taken for dead. */
const SILENCE_MS = 20_000;
const LONGEST_PAUSE_MS = 8_000;

/** `turn` changes when a key was given: then all begins anew. */
export function useLive(turn: number): Live {
  const [live, setLive] = useState(BEGUN);
  useEffect(() => {
    const leave = new AbortController();
    void follow((change) => setLive((held) => ({ ...held, ...change(held) })), leave.signal);
    return () => leave.abort();
  }, [turn]);
  return live;
}

type Change = (change: (held: Live) => Partial<Live>) => void;

async function follow(change: Change, leave: AbortSignal): Promise<void> {
  let pause = 500;
  while (!leave.aborted) {
    try {
      await listen((news) => {
        pause = 500;
        change(news);
      }, leave);
    } catch (error) {
      if (error instanceof KeyWanted) {
        const complaint = heldKey() ? error.message : "";
        change(() => ({ link: "locked", swarm: null, samples: [], complaint }));
        return;
      }
    }
    if (leave.aborted) return;
    change((held) => ({ link: held.swarm ? "lost" : "connecting" }));
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

async function listen(change: Change, leave: AbortSignal): Promise<void> {
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), SILENCE_MS);
  try {
    const answer = await ask("/v1/swarm/events", undefined, AbortSignal.any([leave, silent.signal]));
    for await (const { name, data } of eventsOf(answer)) {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENCE_MS);
      if (name === "hello") {
        const { operator, refusal = "", samples } = JSON.parse(data) as Hello;
        change(() => ({ link: "live", operator, refusal, samples, complaint: "" }));
      } else if (name === "swarm") {
        const swarm = JSON.parse(data) as Swarm;
        change(() => ({ link: "live", swarm, at: Date.now() }));
      } else if (name === "sample") {
        const sample = JSON.parse(data) as Sample;
        change((held) => ({ samples: [...held.samples, sample].slice(-KEPT) }));
      }
    }
  } finally {
    clearTimeout(timer);
  }
}
