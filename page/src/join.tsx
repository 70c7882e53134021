/** How other machines come into the swarm: the token, and the commands that take it from a file. */

import { useEffect, useRef, useState } from "preact/hooks";
import { encode } from "uqr";
import type { Gateway } from "./documents";
import { ask } from "./gateway";
import { Command, Copy, Pick, type Choice } from "./parts";

export function Join({ operator, refusal, gateway }: { operator: boolean; refusal: string; gateway: Gateway }) {
  return (
    <div class="join">
      <div class="panel">
        <h3>The token</h3>
        {!gateway.swarm ? <Outside /> : operator ? <Token /> : <p class="why">{refusal}</p>}
        {gateway.swarm && (
          <p class="note">
            Whoever has it is in the swarm and may let others in. For one machine and one role make an invite instead:{" "}
            <code>gateway token invite --role worker</code>.
          </p>
        )}
      </div>
      <Commands gateway={gateway} />
    </div>
  );
}

function Outside() {
  return (
    <>
      <p>This gateway is in no swarm yet: there is no token that others could join by.</p>
      <p class="note">Start it again with these flags besides its own; then the token is here.</p>
      <Command what="how to begin a swarm" text="gateway run --p2p --federated" />
    </>
  );
}

function Token() {
  const [token, setToken] = useState("");
  const [fault, setFault] = useState("");
  const [code, setCode] = useState(false);
  const show = async () => {
    setFault("");
    try {
      setToken((await (await ask("/p2p/token")).text()).trim());
    } catch (error) {
      setFault((error as Error).message);
    }
  };
  const hide = () => {
    setToken("");
    setCode(false);
  };
  const shown = useRef<HTMLPreElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const before = useRef("");
  useEffect(() => {
    // what was pressed is gone: whoever goes by keyboard shall not begin at the top of the page
    if (before.current !== token) (token ? shown : button).current?.focus();
    before.current = token;
  }, [token]);
  if (!token) {
    return (
      <>
        <button type="button" ref={button} onClick={() => void show()}>
          Show the token
        </button>
        {fault && (
          <p class="why" role="alert">
            {fault}
          </p>
        )}
      </>
    );
  }
  return (
    <>
      <div class="command">
        <pre tabIndex={0} aria-label="The token" id="token" ref={shown}>
          <code>{token}</code>
        </pre>
        <Copy text={token} what="the token" />
      </div>
      <p class="acts">
        <button type="button" class="quiet" onClick={hide}>
          Hide
        </button>
        <button type="button" class="quiet" aria-expanded={code} onClick={() => setCode(!code)}>
          {code ? "Hide the QR code" : "Show as a QR code"}
        </button>
      </p>
      {code && <Code text={token} />}
    </>
  );
}

function Code({ text }: { text: string }) {
  const { data, size } = encode(text, { ecc: "L", border: 4 });
  const path = data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label="The token as a QR code" shape-rendering="crispEdges">
      <path class="paper" d={`M0 0h${size}v${size}H0z`} />
      <path class="ink" d={path} />
    </svg>
  );
}

type Role = "worker" | "node";
type Means = "pip" | "docker" | "localai";

const ROLES: Choice[] = [
  { id: "worker", label: "Worker: lends its memory" },
  { id: "node", label: "Federated node: answers too" },
];
const MEANS: Choice[] = [
  { id: "pip", label: "pip or uv" },
  { id: "docker", label: "Docker" },
  { id: "localai", label: "As in LocalAI" },
];

const FILE = "(umask 077; cat > swarm.token)";
const INSTALL = ["pip install --find-links dist swarmgate", "uv pip install --find-links dist swarmgate"];
const IMAGE = "docker build -t swarmgate -f deploy/Dockerfile .";
const START: Record<Means, Record<Role, string>> = {
  pip: {
    worker: "gateway worker llama-cpp-rpc --token-file swarm.token",
    node: "gateway run --federated --token-file swarm.token --model model.gguf",
  },
  docker: {
    worker:
      'TOKEN="$(cat swarm.token)" docker run --network host -e TOKEN \\\n  -v swarmgate:/var/lib/swarmgate swarmgate worker llama-cpp-rpc',
    node:
      'TOKEN="$(cat swarm.token)" docker run --network host -e TOKEN \\\n  -v swarmgate:/var/lib/swarmgate -v "$PWD/models:/models:ro" \\\n  swarmgate run --federated --model /models/model.gguf',
  },
  localai: {
    worker: 'TOKEN="$(cat swarm.token)" gateway worker p2p-llama-cpp-rpc',
    node: 'TOKEN="$(cat swarm.token)" gateway run --p2p --federated --model model.gguf',
  },
};

function Commands({ gateway }: { gateway: Gateway }) {
  const [role, setRole] = useState<Role>("worker");
  const [means, setMeans] = useState<Means>("pip");
  const alone = role === "node" && gateway.swarm !== undefined && !gateway.federated;
  return (
    <div class="panel">
      <h3>On the other machine</h3>
      <Pick name="role" label="It is to be a" choices={ROLES} chosen={role} pick={(id) => setRole(id as Role)} />
      <Pick name="means" label="Started by" choices={MEANS} chosen={means} pick={(id) => setMeans(id as Means)} />
      <ol class="steps">
        <li>
          {means === "docker" ? (
            <>
              Make the image, from the project's folder.
              <Command what="how to make the image" text={IMAGE} />
            </>
          ) : (
            <>
              Install it, from the folder with the wheels (<code>make wheels</code>), by pip or by uv.
              {INSTALL.map((text) => (
                <Command key={text} what={`how to install by ${text.split(" ")[0]}`} text={text} />
              ))}
            </>
          )}
        </li>
        <li>
          Put the token into a file: start this, paste the token, press Enter and Ctrl-D.
          <Command what="how to keep the token" text={FILE} />
        </li>
        <li>
          {alone ? "Start it." : "Start it. It shows up here within seconds."}
          <Command what="how to start it" text={START[means][role]} />
          {alone && (
            <p class="why">
              This gateway was started without <code>--federated</code>: it would neither ask that node nor show it. Start it
              again with <code>--federated</code> first.
            </p>
          )}
        </li>
      </ol>
    </div>
  );
}
