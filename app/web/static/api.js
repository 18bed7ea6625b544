// Calls to this server's own API: the cookie goes along, and the header that other sites cannot send.

export const HEADERS = { "X-Requested-With": "assay" };
const UNREACHABLE = "The server cannot be reached. Check that it is still running, then try again.";

// A refusal in the server's own words. `status` is 0 when there was no answer at all.
export class Refused extends Error {
  constructor(status, message, code = "", retryAfter = 0) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }
}

export async function send(method, path, body, signal) {
  const headers = body === undefined ? HEADERS : { ...HEADERS, "Content-Type": "application/json" };
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Refused(0, UNREACHABLE);
  }
  if (!response.ok) throw refusal(response.status, await response.text(), response.headers.get("Retry-After"));
  return response;
}

export function refusal(status, text, retryAfter) {
  if (status === 0) return new Refused(0, UNREACHABLE);
  try {
    const { message, code } = JSON.parse(text).error;
    return new Refused(status, message, code, Number(retryAfter) || 0);
  } catch {
    return new Refused(status, `The server answered with status ${status}.`);
  }
}

// Yields [event name, data] of a stream of server-sent events.
export async function* serverEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : new Refused(0, "The connection broke before the answer was complete.");
    });
    if (done) return;
    const frames = (pending + value).split("\n\n");
    pending = frames.pop();
    for (const frame of frames) {
      const fields = frame.split("\n").filter((line) => line && !line.startsWith(":"));
      const of = (name) => fields.filter((f) => f.startsWith(`${name}: `)).map((f) => f.slice(name.length + 2)).join("\n");
      if (of("data")) yield [of("event"), of("data")];
    }
  }
}

export const signInPath = () => `/signin?next=${encodeURIComponent(location.pathname + location.search)}`;
