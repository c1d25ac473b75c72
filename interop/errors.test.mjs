// Refusals as the client shows them, and what it repeats by itself.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { GraphError } from '@microsoft/microsoft-graph-client';
import { client, contosohr, control, item, journal, stored } from './emulator.mjs';

beforeEach(contosohr);

const path = '/external/connections/contosohr/items/TSP228082938';

async function refusal(call) {
  const error = await call.then(() => assert.fail('it was accepted'), (error) => error);
  assert.ok(error instanceof GraphError, `${error}`);
  return error;
}

test('a refusal has its code, message, date, request id and place', async () => {
  const before = Date.now();
  const error = await refusal(client.api(path).put({ ...item('a'), acl: [] }));
  assert.equal(error.statusCode, 400);
  assert.equal(error.code, 'InvalidRequest');
  assert.equal(error.message, 'The request is malformed or incorrect.');
  assert.match(error.requestId, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.equal(error.requestId, error.headers.get('request-id'));
  // It has whole seconds and no zone, which is UTC; JavaScript takes it as local.
  const { innerError, details } = JSON.parse(error.body);
  assert.match(innerError.date, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);
  assert.deepEqual(error.date, new Date(innerError.date));
  const date = Date.parse(`${innerError.date}Z`);
  assert.ok(date > before - 1000 && date <= Date.now(), innerError.date);
  assert.equal(innerError.code, 'acl-required');
  assert.equal(innerError.target, '$.acl');
  // The id that the client gave to the request, without being asked.
  assert.match(innerError['client-request-id'], /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.equal(innerError['client-request-id'], error.headers.get('client-request-id'));
  assert.deepEqual(details.map(({ code }) => code), ['acl-required']);
  assert.equal((await stored(`/v1.0${path}`)).status, 404);
});

test('what is not there, is there already, and is not offered', async () => {
  const missing = await refusal(client.api(path).get());
  assert.deepEqual([missing.statusCode, JSON.parse(missing.body).innerError.code], [404, 'not-found']);
  const again = client.api('/external/connections').post({ id: 'contosohr', name: 'Contoso HR' });
  const there = await refusal(again);
  assert.deepEqual([there.statusCode, JSON.parse(there.body).innerError.code], [409, 'already-exists']);
  const listed = await refusal(client.api('/external/connections/contosohr/items').get());
  assert.deepEqual([listed.statusCode, JSON.parse(listed.body).innerError.code], [501, 'not-implemented']);
});

test('an identitySource that only beta has is refused in v1.0', async () => {
  const acl = [{ ...item('a').acl[0], identitySource: 'azureActiveDirectory' }];
  const error = await refusal(client.api(path).put({ ...item('a'), acl }));
  assert.equal(JSON.parse(error.body).innerError.code, 'identity-source');
  await client.api(path).version('beta').put({ ...item('a'), acl });
});

test('a 429 is repeated by the client when its Retry-After is over, and not before', async () => {
  await control('POST', '/faults', 'PUT item: 429 retry-after=1 times=2');
  await client.api(path).put(item('Äpfel'));
  assert.deepEqual((await journal()).slice(-3), [`PUT /v1.0${path} 429`, `PUT /v1.0${path} 429`, `PUT /v1.0${path} 200`]);
  // The emulator knows the call again by the id that the client keeps for it. Node's timers are
  // as fine as a millisecond.
  const { earlyCalls } = await control('GET', '/early-calls');
  assert.deepEqual(earlyCalls.filter(({ earlyBy }) => earlyBy > 0.01), []);
  assert.equal((await stored(`/v1.0${path}`)).body.properties.title, 'Äpfel');
});

test('a 429 that does not end is an error after three repeats', async () => {
  await control('POST', '/faults', 'PUT item: 429 retry-after=0');
  const error = await refusal(client.api(path).put(item('Äpfel')));
  assert.equal(error.statusCode, 429);
  assert.equal(error.headers.get('Retry-After'), '0');
  assert.equal((await journal()).filter((request) => request === `PUT /v1.0${path} 429`).length, 4);
});
