// A call in JSON over HTTP, as a mini-program makes it with its own request function. See docs/json.md.

const FIRST_WAIT_MS = 200;
// The server has decided, and the same call would be refused the same again. Whatever else comes is no answer.
const REFUSALS = new Set([400, 403, 404, 405, 413, 415, 501]);
const ALREADY_EXISTS = 6;

/** The server said no. Programs go by `reason`, people read `text`. */
export class Refused extends Error {
  constructor(status) {
    const details = status.details ?? [];
    const detail = (kind) => details.find((one) => one['@type'] === `type.googleapis.com/google.rpc.${kind}`);
    const reason = detail('ErrorInfo')?.reason ?? '';
    const text = detail('LocalizedMessage')?.message ?? status.message;
    super(`${reason}: ${text}`);
    Object.assign(this, { code: status.code, reason, text });
  }
}

/** The key or token is not let in. What became of the call is as unknown as before. */
export class KeyRefused extends Refused {}

/** Nobody knows what became of the call: repeat it, ask for it, or cancel it, by its request id. */
export class Unanswered extends Error {
  constructor(requestId) {
    super(`no answer to ${requestId}`);
    this.requestId = requestId;
  }
}

/** Sends the same call until it has an answer, a little later each time. */
export async function ask(address, method, request, { bearer, ms, tries = 5 }) {
  let wait = FIRST_WAIT_MS;
  for (let attempt = 1; attempt <= tries; attempt += 1) {
    const answer = await send(address, method, request, bearer, ms);
    if (answer.ok) return answer.body;
    if (answer.http === 401) throw new KeyRefused(answer.body);
    if (REFUSALS.has(answer.http) || answer.body?.code === ALREADY_EXISTS) throw new Refused(answer.body);
    if (attempt < tries) await pause(Math.max(answer.retryAfterMs ?? 0, wait * (0.8 + 0.4 * Math.random())));
    wait *= 2;
  }
  throw new Unanswered(request.requestId);
}

async function send(address, method, request, bearer, ms) {
  const headers = { 'content-type': 'application/json', 'grpc-timeout': `${ms}m` };
  if (bearer) headers.authorization = `Bearer ${bearer}`;
  try {
    const answer = await fetch(`http://${address}/linli.${method}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(request),
      signal: AbortSignal.timeout(ms),
    });
    const retryAfterMs = 1000 * Number(answer.headers.get('retry-after') ?? 0);
    return { ok: answer.ok, http: answer.status, body: await answer.json(), retryAfterMs };
  } catch {
    // The connection broke, the time is over, or what came is not JSON.
    return { ok: false };
  }
}

function pause(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
