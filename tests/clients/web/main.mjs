// A day at the till: one line a step, and at the end what it has taken. The member's part is played by their own app.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { App } from './app.mjs';
import { Refused, Unanswered } from './json.mjs';
import { Till } from './till.mjs';

const { LINLI_REDEMPTION: address, LINLI_TILL: folder, LINLI_COUNTER: counterUrl } = process.env;
const { LINLI_COMMUNITY: community, LINLI_MEMBER: member, LINLI_MEMBER_TOKEN: token } = process.env;

/** What a browser's or a mini-program's storage does, in a folder: a value is there, whole, once `set` returns. */
const storage = {
  file: (name) => path.join(folder, `${name}.json`),
  get: (name) => (fs.existsSync(storage.file(name)) ? JSON.parse(fs.readFileSync(storage.file(name), 'utf8')) : null),
  set: (name, value) => {
    fs.writeFileSync(`${storage.file(name)}.new`, JSON.stringify(value), { mode: 0o600, flush: true });
    fs.renameSync(`${storage.file(name)}.new`, storage.file(name));
  },
  remove: (name) => fs.rmSync(storage.file(name), { force: true }),
  names: () => fs.readdirSync(folder).filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -5)),
};

/** What happens to the network. */
async function network(what) {
  const answer = await fetch(`${counterUrl}/${what}`, { method: 'POST' });
  assert(answer.ok, `${what}: ${answer.status}`);
}

function step(name, told) {
  console.log(`${name.padEnd(14)} ${told}`);
}

function state(redemption) {
  return redemption.state.replace('REDEMPTION_STATE_', '');
}

async function failure(kind, call) {
  try {
    await call;
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: `${kind.name} was to come` });
}

/** Scans, quotes, holds three and captures two. */
async function sale(till, app) {
  const { code } = await app.showCode();
  const resolved = await till.resolve(code);
  const handle = resolved.handle.name;
  step('resolve', `${resolved.handle.maskedName}, at least ${resolved.balances[0].atLeastPoints} points`);
  const tea = resolved.offers.find((offer) => offer.maxQuantity !== '0');
  const fruit = resolved.offers.find((offer) => offer.refusal);

  const quoted = await till.quote(handle, tea.offer, 3);
  step('quote', `3 × ${tea.title}: ${quoted.points} points`);
  const held = await till.hold(handle, tea.offer, 3);
  step('hold', `${state(held)} ${held.points} points`);
  const captured = await till.capture(held.name, 2);
  step('capture', `${state(captured)} ${captured.capturedPoints} points`);
  assert.equal(await till.find(quoted.name.split('/').pop()), null, 'a quote leaves nothing');
  return { handle, tea, fruit, captured };
}

/** The sale is made, its answer lost, and the till restarted: it repeats the call and gets the first answer. */
async function lostAnswer(first, handle, tea) {
  await network('lose/answer');
  first.tries = 1;
  const { requestId } = await failure(Unanswered, first.redeem(handle, tea.offer, 1));
  step('lose-answer', 'no answer to Redeem; written down before it was sent');
  const till = new Till(address, storage);
  assert.deepEqual(till.unanswered(), [requestId], 'the call is known after a restart');
  const found = await till.find(requestId);
  step('find', `${state(found)} ${found.capturedPoints} points: it had arrived`);
  const again = await till.repeat(requestId);
  assert.deepEqual(again, found, 'the repeated call gets the first answer');
  assert.deepEqual(till.unanswered(), []);
  step('repeat', `${state(again)} ${again.capturedPoints} points: the first answer`);
  return { till, redeemed: again };
}

/** A call is lost on its way, the member leaves: it is cancelled and has no effect however late it comes. */
async function lostRequest(till, handle, tea) {
  await network('lose/request');
  till.tries = 1;
  const { requestId } = await failure(Unanswered, till.redeem(handle, tea.offer, 1));
  till.tries = 5;
  assert.equal(await till.find(requestId), null, 'the call has not arrived');
  assert.equal(await till.cancel(requestId), null, 'there is nothing to undo');
  step('cancel', 'no answer to Redeem; it had not arrived and never will');
  const late = await failure(Refused, till.redeem(handle, tea.offer, 1, requestId));
  assert.equal(late.reason, 'CANCELLED');
  step('late', late.message);
}

const app = new App(address, community, member, token);
const first = new Till(address, storage);
await first.pair(community, process.env.LINLI_PAIRING_CODE, 'Web till');
step('pair', first.paired.terminal.split('/').pop());
const { handle, tea, fruit, captured } = await sale(first, app);
const { till, redeemed } = await lostAnswer(first, handle, tea);
await lostRequest(till, handle, tea);
const reversed = await till.reverse(captured.name, 1, 'brought back', 'CLERK01');
step('reverse', `${state(reversed)} ${reversed.reversedPoints} points back`);
const refusal = await failure(Refused, till.redeem(handle, fruit.offer, 1));
assert.equal(refusal.reason, 'INSUFFICIENT_POINTS');
step('refusal', refusal.message);
const old = till.paired.key;
await till.rotateKey();
assert.notEqual(till.paired.key, old);
assert.equal(await till.find(randomUUID()), null, 'it calls with the new key');
step('rotate', 'calls with a new key');
const net = (one) => BigInt(one.capturedPoints) - BigInt(one.reversedPoints);
const taken = net(captured) + net(redeemed) - BigInt(reversed.reversedPoints);
const seen = (await app.history()).map(net).reduce((sum, points) => sum + points);
assert.equal(seen, taken, "the member's app shows what was taken");
step('taken', taken);
