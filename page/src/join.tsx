/** How other machines come into the swarm: the token, and the commands that take it from a file. */

import { useState } from "preact/hooks";
import { encode } from "uqr";
import { ask } from "./gateway";
import { Command, Copy, Pick, type Choice } from "./parts";

export function Join({ operator, refusal }: { operator: boolean; refusal: string }) {
  return (
    <div class="join">
      <div class="panel">
        <h3>The token</h3>
        {operator ? <Token /> : <p class="why">{refusal}</p>}
        <p class="note">
          Whoever has it is in the swarm and may let others in. For one machine and one role make an invite instead:{" "}
          <code>gateway token invite --role worker</code>.
        </p>
      </div>
      <Commands />
    </div>
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
  if (!token) {
    return (
      <>
        <button type="button" onClick={() => void show()}>
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
        <pre tabIndex={0} aria-label="The token" id="token">
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
const ENVIRONMENT = "gateway-venv && . gateway-venv/bin/activate";
const WHEELS = "pip install --no-deps -r dist/requirements.txt";
const PIP = `python3 -m venv ${ENVIRONMENT}\n${WHEELS}`;
const UV = `uv venv ${ENVIRONMENT}\nuv ${WHEELS}`;
const IMAGE = "docker build -t swarmgate -f deploy/Dockerfile .";
const CONTAINER = "-v swarmgate:/var/lib/swarmgate";
const KEEP = `docker run --rm -i ${CONTAINER} swarmgate token keep`;
const START: Record<Means, Record<Role, string>> = {
  pip: {
    worker: "gateway worker llama-cpp-rpc --token-file swarm.token",
    node: "gateway run --federated --token-file swarm.token --model model.gguf",
  },
  // the token is in the volume: a variable would be seen by all who may inspect the container
  docker: {
    worker: `docker run --network host ${CONTAINER} \\\n  swarmgate worker llama-cpp-rpc --p2p`,
    node: `docker run --network host ${CONTAINER} \\\n  -v "$PWD/models:/models:ro" \\\n  swarmgate run --p2p --federated --model /models/model.gguf`,
  },
  localai: {
    worker: 'TOKEN="$(cat swarm.token)" gateway worker p2p-llama-cpp-rpc',
    node: 'TOKEN="$(cat swarm.token)" gateway run --p2p --federated --model model.gguf',
  },
};

function Commands() {
  const [role, setRole] = useState<Role>("worker");
  const [means, setMeans] = useState<Means>("pip");
  return (
    <div class="panel">
      <h3>On the other machine</h3>
      <Pick name="role" label="It is to be a" choices={ROLES} chosen={role} pick={(id) => setRole(id as Role)} />
      <Pick name="means" label="Started by" choices={MEANS} chosen={means} pick={(id) => setMeans(id as Means)} />
      <ol class="steps">
        <li>
          {means === "docker" ? (
            <>
              Make the image, in the project's folder.
              <Command what="how to make the image" text={IMAGE} />
            </>
          ) : (
            <>
              Start <code>make wheels</code> in the project's folder, bring its folder <code>dist</code> here, and install from that.
              <Command what="how to install with pip" text={PIP} />
              Or with uv:
              <Command what="how to install with uv" text={UV} />
            </>
          )}
        </li>
        <li>
          Put the token into a {means === "docker" ? "volume" : "file"}: start this, paste the token, press Enter and Ctrl-D.
          <Command what="how to keep the token" text={means === "docker" ? KEEP : FILE} />
        </li>
        <li>
          Start it. It shows up here within seconds
          {role === "node" && (
            <>
              {" "}
              if this gateway, too, was started with <code>--federated</code>
            </>
          )}
          .
          <Command what="how to start it" text={START[means][role]} />
        </li>
      </ol>
    </div>
  );
}
