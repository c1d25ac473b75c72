// Batches, made and read by the client's own classes.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { BatchRequestContent, BatchResponseContent, GraphError } from '@microsoft/microsoft-graph-client';
import { client, contosohr, control, item, stored } from './emulator.mjs';

beforeEach(contosohr);

const items = '/external/connections/contosohr/items';

// Node's Request takes whole addresses only, and the client cuts off no more than the host: so the
// version must not be there (https://github.com/microsoftgraph/msgraph-sdk-javascript/issues/1178).
function request(method, path, body) {
  const headers = body && { 'Content-Type': 'application/json' };
  return new Request(`https://graph.microsoft.com${path}`, { method, headers, body: body && JSON.stringify(body) });
}

async function send(steps) {
  const content = await new BatchRequestContent(steps).getContent();
  return new BatchResponseContent(await client.api('/$batch').post(content));
}

test('each part has an answer of its own, found by its id', async () => {
  const answers = await send([
    { id: 'put', request: request('PUT', `${items}/a`, item('Äpfel')) },
    { id: 'again', request: request('PUT', `${items}/b`, item('Birnen')) },
    { id: 'refused', request: request('PUT', `${items}/c`, { ...item('Kirschen'), acl: [] }) },
    { id: 'connection', request: request('GET', '/external/connections/contosohr') },
    { id: 'missing', request: request('GET', '/external/connections/nobody') },
  ]);
  const statuses = [...answers.getResponsesIterator()].map(([id, { status }]) => [id, status]).sort();
  assert.deepEqual(statuses, [['again', 200], ['connection', 200], ['missing', 404], ['put', 200], ['refused', 400]]);
  assert.equal((await answers.getResponseById('connection').json()).name, 'Contoso HR');
  const { error } = await answers.getResponseById('refused').json();
  assert.equal(error.innerError.code, 'acl-required');
  assert.equal((await answers.getResponseById('missing').json()).error.innerError.code, 'not-found');

  const { body } = await stored(`/v1.0${items}/a`);
  assert.equal(body.properties.title, 'Äpfel');
  assert.equal((await stored(`/v1.0${items}/b`)).status, 200);
  assert.equal((await stored(`/v1.0${items}/c`)).status, 404);
});

test('parts in a series go one after another', async () => {
  const batch = new BatchRequestContent([
    { id: '1', request: request('PUT', `${items}/a`, item('Äpfel')) },
    { id: '2', request: request('GET', `${items}/a`) },
    { id: '3', request: request('DELETE', `${items}/a`) },
    { id: '4', request: request('GET', `${items}/a`) },
  ]);
  for (const id of ['2', '3', '4']) batch.addDependency(id);
  const answers = new BatchResponseContent(await client.api('/$batch').post(await batch.getContent()));
  assert.deepEqual(['1', '2', '3', '4'].map((id) => answers.getResponseById(id).status), [200, 200, 204, 404]);
  assert.equal((await answers.getResponseById('2').json()).properties.title, 'Äpfel');
  assert.deepEqual((await control('GET', '/reports')).reports.filter(({ rule }) => rule.startsWith('batch')), []);
});

test('what depends on a part that failed is not carried out', async () => {
  const answers = await send([
    { id: '1', request: request('PUT', `${items}/a`, { ...item('Äpfel'), acl: [] }) },
    { id: '2', dependsOn: ['1'], request: request('PUT', `${items}/b`, item('Birnen')) },
  ]);
  assert.deepEqual(['1', '2'].map((id) => answers.getResponseById(id).status), [400, 424]);
  assert.equal((await stored(`/v1.0${items}/b`)).status, 404);
});

test('a part that is throttled says how long to wait, and the client leaves that to the application', async () => {
  await control('POST', '/faults', 'PUT item: 429 retry-after=7 times=1');
  const answers = await send([{ id: '1', request: request('PUT', `${items}/a`, item('Äpfel')) }]);
  const answer = answers.getResponseById('1');
  assert.equal(answer.status, 429);
  assert.equal(answer.headers.get('Retry-After'), '7');
  assert.equal((await stored(`/v1.0${items}/a`)).status, 404);
});

test('twenty parts are a batch, and a version in a part is none', async () => {
  const steps = Array.from({ length: 20 }, (_, n) => ({
    id: `${n}`,
    request: request('PUT', `${items}/n${n}`, item(`number ${n}`)),
  }));
  const answers = await send(steps);
  assert.deepEqual(new Set([...answers.getResponses().values()].map(({ status }) => status)), new Set([200]));
  assert.equal((await control('GET')).connections[0].items, 20);

  await assert.rejects(send([{ id: '1', request: request('GET', `/v1.0${items}/n1`) }]), (error) => {
    assert.ok(error instanceof GraphError);
    assert.equal(error.statusCode, 400);
    assert.equal(JSON.parse(error.body).innerError.code, 'batch-url');
    return true;
  });
});
