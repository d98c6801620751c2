// @connectrpc/connect-node with stubs from protoc-gen-es. Arguments: gRPC port, HTTP port, protocol, prefix for names.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { compressionGzip, createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { BadRequestSchema } from "./es/google/rpc/error_details_pb";
import {
  Absent, AddResponseSchema, Board, Color, Counter, Probe, RefusalSchema, Signup,
} from "./es/interop/v1/interop_pb";
import { Ingress } from "./es/restate/ingress/v1/ingress_pb";
import { fromBinary } from "@bufbuild/protobuf";
import { GOLD, hex, report } from "./scenarios";

const [grpcPort, httpPort, protocol, prefix] = process.argv.slice(2);
const options = {
  "connect": { make: createConnectTransport, port: httpPort, more: { httpVersion: "1.1", useBinaryFormat: true, useHttpGet: true } },
  "connect-json": { make: createConnectTransport, port: httpPort, more: { httpVersion: "1.1", useBinaryFormat: false, useHttpGet: true } },
  "grpc-web": { make: createGrpcWebTransport, port: httpPort, more: { httpVersion: "1.1" } },
  "grpc": { make: createGrpcTransport, port: grpcPort, more: {} },
}[protocol]!;

function transport(more: object = {}) {
  const make = options.make as (options: object) => ReturnType<typeof createGrpcTransport>;
  return make({ baseUrl: `http://127.0.0.1:${options.port}`, ...options.more, ...more });
}

const plain = transport();
const probe = createClient(Probe, plain);
const counter = createClient(Counter, plain);
const board = createClient(Board, plain);
const signup = createClient(Signup, plain);
const ingress = createClient(Ingress, plain);

async function failure(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => { throw new Error("it did not fail"); },
    (error) => ConnectError.from(error),
  );
}

function source(error: ConnectError): string | null {
  return error.metadata.get("restate-error-source");
}

await report({
  echo: async () => {
    const { everything: got } = await probe.echo({
      everything: {
        text: GOLD.text, big: GOLD.big, biggest: GOLD.biggest, ratio: GOLD.ratio, flag: GOLD.flag, data: GOLD.data,
        color: Color.BLUE, points: GOLD.points, counts: GOLD.counts, maybe: GOLD.maybe,
        choice: { case: "word", value: GOLD.word },
        at: { seconds: GOLD.seconds, nanos: GOLD.nanos },
        length: { seconds: GOLD.lengthSeconds, nanos: GOLD.lengthNanos },
      },
    });
    return {
      text: got!.text, big: got!.big, biggest: got!.biggest, ratio: got!.ratio, flag: got!.flag, data: hex(got!.data),
      color: got!.color, points: got!.points.map((one) => [one.x, one.y]), counts: got!.counts, maybe: got!.maybe,
      choice: [got!.choice.case, got!.choice.value], at: [got!.at!.seconds, got!.at!.nanos],
      length: [got!.length!.seconds, got!.length!.nanos],
    };
  },
  counter: async () => {
    const name = `${prefix}-counter`;
    const first = await counter.add({ name, amount: 2n });
    const second = await counter.add({ name, amount: 3n });
    return [first.total, second.total, (await counter.get({ name })).total];
  },
  idempotency: async () => {
    const name = `${prefix}-idempotent`;
    const seen: Headers[] = [];
    const call = () => counter.add({ name, amount: 7n }, { headers: { "idempotency-key": `${prefix}-once` }, onHeader: (h) => { seen.push(h); } });
    await call();
    const { total } = await call();
    return {
      statuses: seen.map((headers) => headers.get("restate-status")), total,
      same: seen[0].get("restate-invocation-id") === seen[1].get("restate-invocation-id"),
    };
  },
  typed_error: async () => {
    const error = await failure(probe.refuse({ amount: GOLD.big }));
    const [detail] = error.findDetails(RefusalSchema);
    return { code: error.code, message: error.rawMessage, reason: detail.reason, amount: detail.amount, source: source(error) };
  },
  bad_request: async () => {
    const error = await failure(counter.add({ name: "", amount: 1n }));
    const [detail] = error.findDetails(BadRequestSchema);
    return { code: error.code, field: detail.fieldViolations[0].field, source: source(error) };
  },
  unknown_service: async () => (await failure(createClient(Absent, plain).call({}))).code,
  private: async () => (await failure(probe.hidden({}))).code,
  send_and_attach: async () => {
    const name = `${prefix}-sent`;
    const seen: Headers[] = [];
    await counter.add({ name, amount: 11n }, { headers: { "restate-send": "true" }, onHeader: (h) => { seen.push(h); } });
    const { payload } = await ingress.attach({ invocationId: seen[0].get("restate-invocation-id")! });
    return { status: seen[0].get("restate-status"), total: fromBinary(AddResponseSchema, payload).total };
  },
  deadline: async () => {
    const name = `${prefix}-deadline`;
    const headers = { "idempotency-key": name };
    const error = await failure(probe.wait({ board: name }, { headers, timeoutMs: 1000 }));
    // A caller that gave up early asks again; the invocation is the same.
    const late = probe.wait({ board: name }, { headers });
    const awakeableId = (await board.run({ name })).awakeableId;
    await ingress.resolveAwakeable({ awakeableId, value: { case: "json", value: '"late"' } });
    return { code: error.code, text: (await late).text };
  },
  cancellation: async () => {
    const name = `${prefix}-cancelled`;
    const headers = { "idempotency-key": name };
    const stop = new AbortController();
    const call = failure(probe.wait({ board: name }, { headers, signal: stop.signal }));
    const awakeableId = (await board.run({ name })).awakeableId;
    stop.abort();
    const error = await call;
    await ingress.resolveAwakeable({ awakeableId, value: { case: "json", value: '"goes on"' } });
    return { code: error.code, text: (await probe.wait({ board: name }, { headers })).text };
  },
  metadata: async () => {
    const { headers } = await probe.headers({}, {
      headers: { "x-plain": "hello", "x-trace-bin": "AP8Q", authorization: "Bearer secret" },
    });
    return { plain: headers["x-plain"], binary: headers["x-trace-bin"], secret: "authorization" in headers };
  },
  workflow: async () => {
    const email = `${prefix}@example.com`;
    const { welcome } = await signup.run({ email });
    return { welcome: welcome.replace(prefix, ""), again: (await failure(signup.run({ email }))).code };
  },
  gzip: async () => {
    const client = createClient(Probe, transport({ sendCompression: compressionGzip, acceptCompression: [compressionGzip], compressMinBytes: 1 }));
    const { everything } = await client.echo({ everything: { text: "a".repeat(100_000) } });
    return everything!.text.length;
  },
  large: async () => {
    const { everything } = await probe.echo({ everything: { data: new Uint8Array(3_000_000).fill(7) } });
    return everything!.data.length;
  },
  peek: async () => (await probe.peek({ name: "you" })).message,
});
process.exit(0);
