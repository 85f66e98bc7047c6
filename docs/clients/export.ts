// Exports a channel, follows it live and reads it back. Needs only Node 20 (or a browser, or Deno).
//
//   npx tsc && API=http://localhost:8000 KEY=dce_... node dist/export.js 900000000000001004 > messages.ndjson

interface Export {
  job_id: string;
  status: "pending" | "running" | "completed" | "failed" | "cancelled";
  message_count: number;
  error: { code: string; message: string; action: string } | null;
}

const API = process.env.API ?? "http://localhost:8000";
const KEY = process.env.KEY ?? "";
const ENDED = ["completed", "failed", "cancelled"];

const pause = (seconds: number) => new Promise((done) => setTimeout(done, seconds * 1000));

/** Sends a request; retries while the service is unavailable or asks to wait. */
async function call(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("Authorization", `Bearer ${KEY}`);
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      const answer = await fetch(API + path, { ...init, headers });
      if (answer.status !== 429 && answer.status !== 503) return answer;
      await pause(Number(answer.headers.get("Retry-After") ?? 1));
    } catch {
      await pause(Math.min(2 ** attempt, 30));
    }
  }
  throw new Error("the service did not answer");
}

/** Yields the lines of a body as they arrive. */
async function* lines(answer: Response): AsyncGenerator<string> {
  let rest = "";
  for await (const text of answer.body!.pipeThrough(new TextDecoderStream()) as unknown as AsyncIterable<string>) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
  if (rest) yield rest;
}

/** Submits an export once: the key makes retries of the request safe. */
async function submit(channelId: string): Promise<string> {
  const answer = await call("/exports", {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() },
    body: JSON.stringify({ channel_id: channelId }),
  });
  if (answer.status !== 202) throw new Error((await answer.json()).detail);
  return answer.headers.get("Location")!;
}

/** Follows the events until the export has ended; resumes after the last event if the connection breaks. */
async function follow(path: string): Promise<Export> {
  let lastId = "";
  for (;;) {
    const answer = await call(`${path}/events`, lastId ? { headers: { "Last-Event-ID": lastId } } : {});
    if (answer.status === 204) return (await call(path)).json(); // the export ended with the last event
    if (!answer.ok) throw new Error((await answer.json()).detail);
    let id = lastId;
    try {
      for await (const line of lines(answer)) {
        if (line.startsWith("id:")) id = line.slice(3).trim();
        if (!line.startsWith("data:")) continue;
        const state: Export = JSON.parse(line.slice(5));
        lastId = id; // only once its data has arrived: the data after an id may be lost
        if (state.message_count !== undefined) console.error(state.status, state.message_count, "messages");
        if (ENDED.includes(state.status) && state.message_count !== undefined) return state;
      }
    } catch {
      await pause(1);
    }
  }
}

const path = await submit(process.argv[2]);
const state = await follow(path);
if (state.status !== "completed") throw new Error(`${state.status}: ${state.error?.message} ${state.error?.action}`);
const messages = await call(`${path}/messages?fields=raw`, { headers: { Accept: "application/x-ndjson" } });
for await (const line of lines(messages)) process.stdout.write(`${line}\n`); // one message at a time, so memory stays constant

export {};
