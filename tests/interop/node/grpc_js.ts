// @grpc/grpc-js with stubs from ts-proto. Arguments: gRPC port, prefix for names.

import * as grpc from "@grpc/grpc-js";
import { BadRequest } from "./ts/google/rpc/error_details";
import { Status } from "./ts/google/rpc/status";
import { AddResponse, AbsentClient, BoardClient, Color, CounterClient, ProbeClient, Refusal, SignupClient, WaitResponse } from "./ts/interop/v1/interop";
import { IngressClient } from "./ts/restate/ingress/v1/ingress";
import { GOLD, hex, report } from "./scenarios";

const [port, prefix] = process.argv.slice(2);
const address = `127.0.0.1:${port}`;
const plain = grpc.credentials.createInsecure();
const probe = new ProbeClient(address, plain);
const counter = new CounterClient(address, plain);
const board = new BoardClient(address, plain);
const signup = new SignupClient(address, plain);
const ingress = new IngressClient(address, plain);

type Answer<T> = { response: T; initial: grpc.Metadata };
type Callback<T> = (error: grpc.ServiceError | null, response: T) => void;
type Method<Q, R> = (request: Q, metadata: grpc.Metadata, options: Partial<grpc.CallOptions>, callback: Callback<R>) => grpc.ClientUnaryCall;

function call<Q, R>(
  client: grpc.Client, method: Method<Q, R>, request: Q,
  { headers = {}, started = () => {}, ...options }: Partial<grpc.CallOptions> & {
    headers?: Record<string, string | Buffer>; started?: (call: grpc.ClientUnaryCall) => void;
  } = {},
): Promise<Answer<R>> {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return new Promise((resolve, reject) => {
    let initial = new grpc.Metadata();
    const running = method.call(client, request, metadata, options, (error, response) => {
      if (error) reject(error);
      else resolve({ response, initial });
    });
    running.on("metadata", (got) => { initial = got; });
    started(running);
  });
}

async function failure(work: Promise<unknown>): Promise<grpc.ServiceError> {
  return work.then(() => { throw new Error("it did not fail"); }, (error) => error as grpc.ServiceError);
}

function text(metadata: grpc.Metadata, name: string): string | undefined {
  return metadata.get(name)[0]?.toString();
}

function details(error: grpc.ServiceError, type: string): Uint8Array {
  const status = Status.decode(error.metadata.get("grpc-status-details-bin")[0] as Buffer);
  return status.details.find((one) => one.typeUrl.endsWith(`/${type}`))!.value;
}

const pinned = async (name: string) => (await call(board, board.run, { name })).response.awakeableId;

await report({
  echo: async () => {
    const { response } = await call(probe, probe.echo, {
      everything: {
        text: GOLD.text, big: GOLD.big, biggest: GOLD.biggest, ratio: GOLD.ratio, flag: GOLD.flag,
        data: Buffer.from(GOLD.data), color: Color.COLOR_BLUE, points: GOLD.points, counts: GOLD.counts,
        maybe: GOLD.maybe, word: GOLD.word,
        at: { seconds: GOLD.seconds, nanos: GOLD.nanos },
        length: { seconds: GOLD.lengthSeconds, nanos: GOLD.lengthNanos },
      },
    });
    const got = response.everything!;
    return {
      text: got.text, big: got.big, biggest: got.biggest, ratio: got.ratio, flag: got.flag, data: hex(got.data),
      color: got.color, points: got.points.map((one) => [one.x, one.y]), counts: got.counts, maybe: got.maybe,
      choice: ["word", got.word], at: [got.at!.seconds, got.at!.nanos], length: [got.length!.seconds, got.length!.nanos],
    };
  },
  counter: async () => {
    const name = `${prefix}-counter`;
    const first = await call(counter, counter.add, { name, amount: 2n });
    const second = await call(counter, counter.add, { name, amount: 3n });
    return [first.response.total, second.response.total, (await call(counter, counter.get, { name })).response.total];
  },
  idempotency: async () => {
    const again = () => call(counter, counter.add, { name: `${prefix}-idempotent`, amount: 7n }, { headers: { "idempotency-key": `${prefix}-once` } });
    const answers = [await again(), await again()];
    const ids = answers.map((one) => text(one.initial, "restate-invocation-id"));
    return {
      statuses: answers.map((one) => text(one.initial, "restate-status")),
      total: answers[1].response.total, same: ids[0] === ids[1],
    };
  },
  typed_error: async () => {
    const error = await failure(call(probe, probe.refuse, { amount: GOLD.big }));
    const detail = Refusal.decode(details(error, "interop.v1.Refusal"));
    return { code: error.code, message: error.details, reason: detail.reason, amount: detail.amount, source: text(error.metadata, "restate-error-source") };
  },
  bad_request: async () => {
    const error = await failure(call(counter, counter.add, { name: "", amount: 1n }));
    const detail = BadRequest.decode(details(error, "google.rpc.BadRequest"));
    return { code: error.code, field: detail.fieldViolations[0].field, source: text(error.metadata, "restate-error-source") };
  },
  unknown_service: async () => {
    const absent = new AbsentClient(address, plain);
    return (await failure(call(absent, absent.call, {}))).code;
  },
  private: async () => (await failure(call(probe, probe.hidden, {}))).code,
  send_and_attach: async () => {
    const sent = await call(counter, counter.add, { name: `${prefix}-sent`, amount: 11n }, { headers: { "restate-send": "true" } });
    const attached = await call(ingress, ingress.attach, { invocationId: text(sent.initial, "restate-invocation-id")!, target: undefined, json: false });
    return { status: text(sent.initial, "restate-status"), total: AddResponse.decode(attached.response.payload).total };
  },
  deadline: async () => {
    const name = `${prefix}-deadline`;
    const headers = { "idempotency-key": name };
    const error = await failure(call(probe, probe.wait, { board: name }, { headers, deadline: Date.now() + 1000 }));
    // A caller that gave up early asks again; the invocation is the same.
    const late = call(probe, probe.wait, { board: name }, { headers });
    await call(ingress, ingress.resolveAwakeable, { awakeableId: await pinned(name), json: '"late"' });
    return { code: error.code, text: (await late).response.text };
  },
  cancellation: async () => {
    const name = `${prefix}-cancelled`;
    let running: grpc.ClientUnaryCall | undefined;
    const work = failure(call(probe, probe.wait, { board: name }, { started: (one) => { running = one; } }));
    const initial = await new Promise<grpc.Metadata>((resolve) => running!.once("metadata", resolve));
    running!.cancel();
    const error = await work;
    await call(ingress, ingress.resolveAwakeable, { awakeableId: await pinned(name), json: '"goes on"' });
    const attached = await call(ingress, ingress.attach, { invocationId: text(initial, "restate-invocation-id")!, target: undefined, json: false });
    return { code: error.code, text: WaitResponse.decode(attached.response.payload).text };
  },
  metadata: async () => {
    const { response } = await call(probe, probe.headers, {}, {
      headers: { "x-plain": "hello", "x-trace-bin": Buffer.from([0, 255, 16]), authorization: "Bearer secret" },
    });
    const { headers } = response;
    return { plain: headers["x-plain"], binary: headers["x-trace-bin"], secret: "authorization" in headers };
  },
  workflow: async () => {
    const email = `${prefix}@example.com`;
    const { response } = await call(signup, signup.run, { email });
    return { welcome: response.welcome.replace(prefix, ""), again: (await failure(call(signup, signup.run, { email }))).code };
  },
  gzip: async () => {
    const client = new ProbeClient(address, plain, { "grpc.default_compression_algorithm": 2 });
    const { response } = await call(client, client.echo, { everything: { ...emptyEverything(), text: "a".repeat(100_000) } });
    client.close();
    return response.everything!.text.length;
  },
  large: async () => {
    const { response } = await call(probe, probe.echo, { everything: { ...emptyEverything(), data: Buffer.alloc(3_000_000, 7) } });
    return response.everything!.data.length;
  },
  peek: async () => (await call(probe, probe.peek, { name: "you" })).response.message,
});
process.exit(0);

function emptyEverything() {
  return { text: "", big: 0n, biggest: 0n, ratio: 0, flag: false, data: Buffer.alloc(0), color: Color.COLOR_UNSPECIFIED, points: [], counts: {} };
}
