// A js-libp2p node that does what it is told: it knows nothing of swarmgate, and says what it sees.
//
// On standard input it is told, one JSON object a line, first the port of a listener on loopback and the seed of its
// Ed25519 key in hex, then its orders; what came of them goes out on standard output in the same form.  For each libp2p
// stream, whoever opened it, it connects to the listener, says in one line of JSON which stream that is, and carries
// bytes both ways from then on.

import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import * as digest from 'multiformats/hashes/digest'

const PATIENCE = 15_000 // milliseconds, for whatever is asked of others

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const { port, seed } = JSON.parse((await lines.next()).value)
const node = await createLibp2p({
  privateKey: await generateKeyPairFromSeed('Ed25519', Buffer.from(seed, 'hex')),
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    ping: ping(),
    pubsub: gossipsub(),
    dht: kadDHT({
      protocol: '/ipfs/kad/1.0.0',
      clientMode: false,
      peerInfoMapper: passthroughMapper, // loopback addresses are what there is
      allowQueryWithZeroPeers: true
    })
  }
})

const tell = (words) => process.stdout.write(JSON.stringify(words) + '\n')
const cidOf = (multihash) => CID.createV1(raw.code, digest.decode(Buffer.from(multihash, 'base64')))
const patience = () => AbortSignal.timeout(PATIENCE)

function carry (stream, introduction) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.write(JSON.stringify(introduction) + '\n')
  socket.on('error', (error) => stream.abort(error))
  const outward = async (data) => {
    if (!stream.send(data)) { // which throws when the stream is over
      socket.pause()
      await stream.onDrain()
      socket.resume()
    }
  }
  socket.on('data', (data) => outward(data).catch(() => socket.resetAndDestroy()))
  socket.on('end', () => stream.close().catch(() => socket.destroy()))
  const inward = async () => {
    for await (const chunk of stream) {
      socket.write(chunk.subarray())
    }
    socket.end()
  }
  inward().catch(() => socket.resetAndDestroy())
}

const orders = {
  async dial ({ address }) {
    await node.dial(multiaddr(address), { signal: patience() })
  },
  async hang_up ({ peer }) {
    await node.hangUp(peerIdFromString(peer), { signal: patience() })
  },
  async open ({ id, peer, protocol }) {
    const connections = node.getConnections(peerIdFromString(peer)) // newStream alone would dial again
    if (connections.length === 0) {
      throw new Error(`not connected to ${peer}`)
    }
    carry(await connections[0].newStream(protocol, { signal: patience() }), { id })
  },
  async handle ({ protocol }) {
    await node.handle(protocol, (stream, connection) => {
      carry(stream, { peer: connection.remotePeer.toString(), protocol })
    })
  },
  peers () {
    return node.getPeers().map(String)
  },
  protocols ({ peer }) { // what its identify said
    return node.peerStore.get(peerIdFromString(peer)).then((known) => known.protocols, () => [])
  },
  subscribe ({ topic }) {
    node.services.pubsub.subscribe(topic)
  },
  subscribers ({ topic }) {
    return node.services.pubsub.getSubscribers(topic).map(String)
  },
  async publish ({ topic, data }) {
    await node.services.pubsub.publish(topic, Buffer.from(data, 'base64'))
  },
  async provide ({ key }) {
    await node.contentRouting.provide(cidOf(key), { signal: patience() })
  },
  async find ({ key }) {
    const found = []
    for await (const { id } of node.contentRouting.findProviders(cidOf(key), { signal: patience() })) {
      found.push(id.toString())
    }
    return found
  }
}

node.services.pubsub.addEventListener('message', ({ detail: { topic, data } }) => {
  tell({ topic, heard: Buffer.from(data).toString('base64') })
})
tell({ id: 0, done: node.getMultiaddrs().map(String) })
for await (const line of lines) {
  const order = JSON.parse(line)
  Promise.resolve(order)
    .then(orders[order.do])
    .then((done) => tell({ id: order.id, done: done ?? null }))
    .catch((error) => tell({ id: order.id, error: String(error) }))
}
process.exit()
