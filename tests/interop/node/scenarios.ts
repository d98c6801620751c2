// What every client of this folder does, and how it says what it saw. The expectations are in ../expected.py.

export type Outcome = Record<string, unknown>;
export type Scenario = () => Promise<unknown>;

export const GOLD = {
  text: "zażółć ☕",
  big: 9007199254740993n,
  biggest: 18446744073709551615n,
  ratio: 0.1,
  flag: true,
  data: Uint8Array.from([0, 1, 254, 255]),
  points: [{ x: -1, y: 2 }, { x: 3, y: -4 }],
  counts: { a: 1, b: 2 },
  maybe: 0,
  word: "chosen",
  seconds: 1790000000n,
  nanos: 123456789,
  lengthSeconds: 90n,
  lengthNanos: 5,
};

export function hex(data: Uint8Array): string {
  return Buffer.from(data).toString("hex");
}

/** Runs the scenarios in turn and prints one JSON object; an error that none expects is its outcome too. */
export async function report(scenarios: Record<string, Scenario>): Promise<void> {
  const outcome: Outcome = {};
  for (const [name, scenario] of Object.entries(scenarios)) {
    try {
      outcome[name] = await scenario();
    } catch (error) {
      outcome[name] = { unexpected: String(error) };
    }
  }
  console.log(JSON.stringify(outcome, (_, value) => (typeof value === "bigint" ? value.toString() : value)));
}
