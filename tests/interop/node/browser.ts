// A page of another origin, with stock clients for browsers: @connectrpc/connect-web in each of its protocols, and
// grpc-web in both of its formats. It runs everything and posts what it saw to the server that it came from.
// The address of the runtime is in the query: ?runtime=http://127.0.0.1:8081

import { create, fromBinary, toBinary, type DescMessage, type DescMethodUnary, type MessageShape } from "@bufbuild/protobuf";
import { ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { GrpcWebClientBase, MethodDescriptor, MethodType, type RpcError } from "grpc-web";
import { StatusSchema } from "./es/google/rpc/status_pb";
import { Absent, Color, Counter, Probe, RefusalSchema } from "./es/interop/v1/interop_pb";
import { Ingress } from "./es/restate/ingress/v1/ingress_pb";

type Scenarios = Record<string, () => Promise<unknown>>;

const runtime = new URLSearchParams(location.search).get("runtime")!;
const BIG = 9007199254740993n;

async function failure(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => { throw new Error("it did not fail"); },
    (error) => ConnectError.from(error),
  );
}

function connectWeb(name: string, transport: Transport): Scenarios {
  const probe = createClient(Probe, transport);
  const counter = createClient(Counter, transport);
  return {
    echo: async () => {
      const { everything: got } = await probe.echo({
        everything: { text: "zażółć ☕", big: BIG, color: Color.BLUE, data: Uint8Array.from([0, 255]), counts: { a: 1 } },
      });
      return [got!.text, got!.big, got!.color, Array.from(got!.data), got!.counts];
    },
    idempotency: async () => {
      const seen: Headers[] = [];
      const options = { headers: { "idempotency-key": name }, onHeader: (headers: Headers) => { seen.push(headers); } };
      await counter.add({ name, amount: 7n }, options);
      const { total } = await counter.add({ name, amount: 7n }, options);
      const ids = seen.map((headers) => headers.get("restate-invocation-id"));
      return [seen.map((headers) => headers.get("restate-status")), total, ids[0] !== null && ids[0] === ids[1]];
    },
    typed_error: async () => {
      const error = await failure(probe.refuse({ amount: BIG }));
      const [detail] = error.findDetails(RefusalSchema);
      return [error.code, error.rawMessage, detail.reason, detail.amount, error.metadata.get("restate-error-source")];
    },
    unknown_service: async () => (await failure(createClient(Absent, transport).call({}))).code,
    private: async () => (await failure(probe.hidden({}))).code,
    deadline: async () => {
      const error = await failure(probe.wait({ board: name }, { timeoutMs: 300 }));
      return error.code;
    },
    metadata: async () => {
      const { headers } = await probe.headers({}, { headers: { "x-plain": "hello" } });
      return [headers["x-plain"], Object.keys(headers).filter((one) => one.startsWith("x-"))];
    },
    lookup: async () => {
      const client = createClient(Ingress, transport);
      const target = { service: "interop.v1.Counter", handler: "Add", key: name, idempotencyKey: name };
      return (await client.lookup({ target })).completed;
    },
    peek: async () => (await probe.peek({ name: "you" })).message,
  };
}

function grpcWeb(name: string, format: "text" | "binary"): Scenarios {
  const client = new GrpcWebClientBase({ format });

  function call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>, request: MessageShape<I>, metadata: Record<string, string> = {},
  ) {
    const path = `/${method.parent.typeName}/${method.name}`;
    const Anything = Object as never;
    const descriptor = new MethodDescriptor<MessageShape<I>, MessageShape<O>>(
      path, MethodType.UNARY, Anything, Anything,
      (message: MessageShape<I>) => toBinary(method.input, message),
      (bytes: Uint8Array) => fromBinary(method.output, bytes),
    );
    const headers: Record<string, string> = {};
    const done = new Promise<MessageShape<O>>((resolve, reject) => {
      const stream = client.rpcCall(runtime + path, request, metadata, descriptor, (error: RpcError, response: MessageShape<O>) => {
        if (error) reject(error); else queueMicrotask(() => resolve(response));
      });
      stream.on("metadata", (found: Record<string, string>) => { Object.assign(headers, found); });
    });
    return { done, headers };
  }

  const add = () => call(Counter.method.add, create(Counter.method.add.input, { name, amount: 7n }), { "idempotency-key": name });
  return {
    idempotency: async () => {
      const first = add();
      await first.done;
      const second = add();
      const { total } = await second.done;
      const id = "restate-invocation-id";
      return [[first, second].map((one) => one.headers["restate-status"]), total, first.headers[id] === second.headers[id]];
    },
    typed_error: async () => {
      const refuse = Probe.method.refuse;
      const error: RpcError = await call(refuse, create(refuse.input, { amount: BIG })).done.then(
        () => { throw new Error("it did not fail"); },
        (problem) => problem,
      );
      const bytes = Uint8Array.from(atob(error.metadata["grpc-status-details-bin"]), (one) => one.charCodeAt(0));
      const detail = fromBinary(RefusalSchema, fromBinary(StatusSchema, bytes).details[0].value);
      return [error.code, error.message, detail.reason, detail.amount, error.metadata["restate-error-source"]];
    },
    peek: async () => (await call(Probe.method.peek, create(Probe.method.peek.input, { name: "you" })).done).message,
    // The clients of connect-web open no stream to a server that a browser cannot open; this one asks.
    session: async () => {
      const path = "/restate.ingress.v1.Ingress/Session";
      const { input } = Counter.method.add;
      const Anything = Object as never;
      const nothing = new MethodDescriptor(path, MethodType.SERVER_STREAMING, Anything, Anything, () => new Uint8Array(), String);
      const stream = client.serverStreaming(runtime + path, create(input), {}, nothing);
      const error = await new Promise<RpcError>((resolve) => { stream.on("error", resolve); });
      return [error.code, error.message];
    },
    large: async () => {
      const echo = Probe.method.echo;
      const request = create(echo.input, { everything: { data: new Uint8Array(300_000).fill(7) } });
      return (await call(echo, request).done).everything!.data.length;
    },
  };
}

/** What the page itself may see, with nothing but fetch. */
function plain(): Scenarios {
  return {
    // A simple request of a page: it is sent without a preflight, and only its answer is kept from the page or not.
    openapi: async () => (await (await fetch(`${runtime}/openapi.json`)).json()).openapi,
    health: async () => (await (await fetch(`${runtime}/healthz`)).json()).status,
    get: async () => {
      const query = new URLSearchParams({ connect: "v1", encoding: "json", message: '{"name":"you"}' });
      const reply = await fetch(`${runtime}/interop.v1.Probe/Peek?${query}`);
      return [reply.status, (await reply.json()).message, reply.headers.get("restate-status")];
    },
    forbidden_header: async () => {
      const headers = { "content-type": "application/json", secret: "1" };
      return fetch(`${runtime}/interop.v1.Probe/Peek`, { method: "POST", body: "{}", headers }).then(
        () => "sent", (error) => error.name,
      );
    },
  };
}

/** The methods of the requests that a transport made: whether a GET was one. */
function counting(methods: string[]): typeof fetch {
  return (input, init) => {
    methods.push(init?.method ?? "GET");
    return fetch(input, init);
  };
}

const got: string[] = [];
const suites: Record<string, Scenarios> = {
  "connect": connectWeb("connect", createConnectTransport({ baseUrl: runtime, useBinaryFormat: true })),
  "connect-json": connectWeb("connect-json", createConnectTransport({ baseUrl: runtime })),
  "connect-get": connectWeb("connect-get", createConnectTransport({ baseUrl: runtime, useHttpGet: true, fetch: counting(got) })),
  "connect-grpc-web": connectWeb("connect-grpc-web", createGrpcWebTransport({ baseUrl: runtime })),
  "connect-grpc-web-json": connectWeb("connect-grpc-web-json", createGrpcWebTransport({ baseUrl: runtime, useBinaryFormat: false })),
  "grpc-web-text": grpcWeb("grpc-web-text", "text"),
  "grpc-web-binary": grpcWeb("grpc-web-binary", "binary"),
  "fetch": plain(),
};

const outcome: Record<string, Record<string, unknown>> = {};
for (const [suite, scenarios] of Object.entries(suites)) {
  outcome[suite] = {};
  for (const [name, scenario] of Object.entries(scenarios)) {
    outcome[suite][name] = await scenario().catch((error: unknown) => ({ unexpected: String(error) }));
  }
}
outcome["methods"] = { get: got.filter((method) => method === "GET").length };
const text = JSON.stringify(outcome, (_, value) => (typeof value === "bigint" ? value.toString() : value));
await fetch("/results", { method: "POST", body: text });
