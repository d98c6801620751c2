// A client made from the OpenAPI document: types from openapi-typescript, calls by openapi-fetch. Argument: HTTP port.

import createClient from "openapi-fetch";
import type { components, paths } from "./openapi";

const client = createClient<paths>({ baseUrl: `http://127.0.0.1:${process.argv[2]}` });
const everything: components["schemas"]["interop.v1.Everything"] = {
  text: "hi", big: "9007199254740993", color: "COLOR_BLUE", data: "AP8=", counts: { a: 1 }, word: "chosen",
  at: "2026-11-22T10:00:00Z",
};

const echo = await client.POST("/interop.v1.Probe/Echo", { body: { everything } });
const header = { "idempotency-key": "openapi" };
const add = () => client.POST("/interop.v1.Counter/Add", { body: { name: "openapi", amount: "7" }, params: { header } });
const first = await add();
const second = await add();
const refused = await client.POST("/interop.v1.Probe/Refuse", { body: { amount: "5" } });
const peek = await client.GET("/interop.v1.Probe/Peek", {
  params: { query: { encoding: "json", message: '{"name":"you"}' } },
});

console.log(JSON.stringify({
  echo: echo.data?.everything,
  statuses: [first, second].map(({ response }) => response.headers.get("restate-status")),
  total: second.data?.total,
  code: refused.error?.code,
  detail: refused.error?.details?.[0].debug,
  peek: peek.data?.message,
}));
