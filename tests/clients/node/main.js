'use strict';
// A day at the till: one line a step, and at the end what it has taken.

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { Till, Refused, Unanswered } = require('./till.js');

const { LINLI_REDEMPTION: address, LINLI_TILL: folder, LINLI_COUNTER: counterUrl } = process.env;

/** What happens at the counter: a member shows a code, the network loses something. */
async function counter(path) {
  const answer = await fetch(`${counterUrl}/${path}`, { method: 'POST' });
  assert(answer.ok, `${path}: ${answer.status}`);
  return answer.text();
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
async function sale(till) {
  const resolved = await till.resolve(await counter('show'));
  const handle = resolved.handle.name;
  step('resolve', `${resolved.handle.masked_name}, at least ${resolved.balances[0].at_least_points} points`);
  const tea = resolved.offers.find((offer) => offer.max_quantity !== '0');
  const fruit = resolved.offers.find((offer) => offer.refusal);

  const quoted = await till.quote(handle, tea.offer, 3);
  step('quote', `3 × ${tea.title}: ${quoted.points} points`);
  const held = await till.hold(handle, tea.offer, 3);
  step('hold', `${state(held)} ${held.points} points`);
  const captured = await till.capture(held.name, 2);
  step('capture', `${state(captured)} ${captured.captured_points} points`);
  assert.equal(await till.find(quoted.name.split('/').pop()), null, 'a quote leaves nothing');
  return { handle, tea, fruit, captured };
}

/** The sale is made, its answer lost, and the till restarted: it repeats the call and gets the first answer. */
async function lostAnswer(first, handle, tea) {
  await counter('lose/answer');
  first.tries = 1;
  const { requestId } = await failure(Unanswered, first.redeem(handle, tea.offer, 1));
  step('lose-answer', 'no answer to Redeem; written down before it was sent');
  first.close();
  const till = new Till(address, folder);
  assert.deepEqual(till.unanswered(), [requestId], 'the call is known after a restart');
  const found = await till.find(requestId);
  step('find', `${state(found)} ${found.captured_points} points: it had arrived`);
  const again = await till.repeat(requestId);
  assert.deepEqual(again, found, 'the repeated call gets the first answer');
  assert.deepEqual(till.unanswered(), []);
  step('repeat', `${state(again)} ${again.captured_points} points: the first answer`);
  return { till, redeemed: again };
}

/** A call is lost on its way, the member leaves: it is cancelled and has no effect however late it comes. */
async function lostRequest(till, handle, tea) {
  await counter('lose/request');
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

async function main() {
  const first = new Till(address, folder);
  await first.pair(process.env.LINLI_COMMUNITY, process.env.LINLI_PAIRING_CODE, 'Node till');
  step('pair', first.paired.terminal.split('/').pop());
  const { handle, tea, fruit, captured } = await sale(first);
  const { till, redeemed } = await lostAnswer(first, handle, tea);
  await lostRequest(till, handle, tea);
  const reversed = await till.reverse(captured.name, 1, 'brought back', 'CLERK01');
  step('reverse', `${state(reversed)} ${reversed.reversed_points} points back`);
  const refusal = await failure(Refused, till.redeem(handle, fruit.offer, 1));
  assert.equal(refusal.reason, 'INSUFFICIENT_POINTS');
  step('refusal', refusal.message);
  const old = till.paired.key;
  await till.rotateKey();
  assert.notEqual(till.paired.key, old);
  assert.equal(await till.find(randomUUID()), null, 'it calls with the new key');
  step('rotate', 'calls with a new key');
  const taken = BigInt(captured.captured_points) + BigInt(redeemed.captured_points) - BigInt(reversed.reversed_points);
  step('taken', taken);
  till.close();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
