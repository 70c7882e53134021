/** Which part of which model lies where, and what is being loaded. */

import type { Answering, Model, Place, Swarm } from "./documents";
import { ask } from "./gateway";
import { Dot, Order } from "./parts";
import type { Mark } from "./seen";
import { bytes, short } from "./words";

const STATES: Record<Model["state"], [Mark, string]> = {
  loaded: ["good", "loaded"],
  loading: ["wait", "loading"],
  waiting: ["wait", "waiting"],
  failed: ["bad", "failed"],
  unloading: ["wait", "unloading: its last answers are being written"],
  unloaded: ["gone", "unloaded"],
};

export function Models({ swarm, operator }: { swarm: Swarm; operator: boolean }) {
  const nodes = new Map(swarm.nodes.map((node) => [node.name, node]));
  const ours = new Set(swarm.models.map((model) => model.backend));
  const elsewhere = new Map<string, string[]>();
  for (const node of swarm.nodes) {
    if (ours.has(node.name)) continue;
    for (const name of node.models) elsewhere.set(name, [...(elsewhere.get(name) ?? []), node.node ?? node.name]);
  }
  const own = new Set(swarm.models.map((model) => model.name));
  return (
    <ul class="cards wide">
      {swarm.models.map((model) => (
        <Card
          key={model.backend}
          model={model}
          node={nodes.get(model.backend)}
          also={elsewhere.get(model.name) ?? []}
          operator={operator}
          gateway={swarm.gateway.name}
        />
      ))}
      {[...elsewhere].filter(([name]) => !own.has(name)).map(([name, where]) => (
        <li class="card model" key={name}>
          <div class="card-head">
            <h3>{name}</h3>
            <span class="kind">{where.length > 1 ? `${where.length} replicas` : "elsewhere"}</span>
          </div>
          <p class="note">whole at {where.map(short).join(", ")}</p>
        </li>
      ))}
    </ul>
  );
}

function Card(props: { model: Model; node: Answering | undefined; also: string[]; operator: boolean; gateway: string }) {
  const { model, node } = props;
  const [mark, state] = node?.state === "draining" && model.ready ? (["wait", "draining"] as const) : STATES[model.state];
  const reason = model.ready ? "" : (model.waiting ?? model.reason ?? "");
  const why = reason === state ? "" : reason;
  const unloaded = model.state === "unloaded" || model.state === "failed";
  return (
    <li class={`card model ${mark}`} data-model={model.name}>
      <div class="card-head">
        <h3>{model.name}</h3>
        <span class="kind">{model.placement === "auto" ? "" : model.placement}</span>
      </div>
      <p class="state">
        <Dot mark={mark} /> {state}
        {props.also.length > 0 && <span class="note"> · replica at {props.also.map(short).join(", ")}</span>}
      </p>
      {model.progress !== undefined && !model.ready && (
        <progress max={1} value={model.progress} aria-label={`Loading ${model.name}`}>
          {Math.round(model.progress * 100)} %
        </progress>
      )}
      {why && <p class="why">{why}</p>}
      {model.places.length > 0 && !unloaded && <Layers places={model.places} plan={model.plan ?? ""} gateway={props.gateway} />}
      {model.coming && (
        <div class="coming">
          <h4>{model.places.length > 0 ? "Being loaded instead" : "Being loaded"}</h4>
          <Layers places={model.coming.places} plan={model.coming.plan} gateway={props.gateway} />
        </div>
      )}
      {props.operator && (
        <p class="acts">
          {unloaded ? (
            <Order label="Load" what={model.name} act={() => ask("/v1/models/load", { model: model.name, wait: false })} />
          ) : (
            <Order
              label="Unload"
              what={model.name}
              ask={`Unload ${model.name}? Its answers may finish; its memory is free then.`}
              act={() => ask("/v1/models/unload", { model: model.name, wait: false })}
            />
          )}
          {node && !unloaded && (
            <Order
              label={node.state === "draining" ? "Take back in" : "Drain"}
              what={model.name}
              act={() => ask("/v1/swarm/drain", { node: node.name, drain: node.state !== "draining" })}
            />
          )}
        </p>
      )}
    </li>
  );
}

function held(place: Place): string {
  const layers =
    place.first_layer === null || place.last_layer === null ? [] : [`layers ${place.first_layer}–${place.last_layer}`];
  if (place.output && layers.length > 0) layers.push("output");
  return layers.join(" and ") || (place.share === 1 ? "all of it" : `${Math.round(place.share * 100)} %`);
}

function Layers({ places, plan, gateway }: { places: Place[]; plan: string; gateway: string }) {
  const named = (place: Place) => (place.place === "here" ? gateway : short(place.place));
  const told = places.map((place) => `${named(place)}: ${held(place)}`).join("; ");
  return (
    <>
      <div class="bar" role="img" aria-label={`Where the layers lie. ${told}`}>
        {places.map((place, index) => (
          <span key={place.place} class={`part p${index % 6}`} style={{ flexGrow: Math.max(place.share, 0.02) }}>
            {place.share > 0.14 && <b>{named(place)}</b>}
          </span>
        ))}
      </div>
      <ul class="legend">
        {places.map((place, index) => (
          <li key={place.place}>
            <span class={`swatch p${index % 6}`} aria-hidden="true" />
            <strong>{named(place)}</strong> {held(place)}
            {place.total_bytes !== undefined && <span class="note"> · {bytes(place.total_bytes)}</span>}
          </li>
        ))}
      </ul>
      {plan && <p class="note plan">{plan}</p>}
    </>
  );
}
