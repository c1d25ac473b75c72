// The calls of Microsoft's documents, as their JavaScript has them.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { activity, client, contosohr, control, journal, stored } from './emulator.mjs';

beforeEach(contosohr);

// https://learn.microsoft.com/graph/api/externalconnectors-externalconnection-put-items?view=graph-rest-beta&tabs=javascript
const externalItem = {
  acl: [
    {
      type: 'user',
      value: 'e811976d-83df-4cbd-8b9b-5215b18aa874',
      accessType: 'grant',
      identitySource: 'azureActiveDirectory'
    },
    {
      type: 'group',
      value: '14m1b9c38qe647f6a',
      accessType: 'deny',
      identitySource: 'external'
    }
  ],
  properties: {
    title: 'Error in the payment gateway',
    priority: 1,
    assignee: 'john@contoso.com'
  },
  content: {
    value: 'Error in payment gateway...',
    type: 'text'
  }
};

async function putItem() {
  await client.api('/external/connections/contosohr/items/TSP228082938')
    .version('beta')
    .put(externalItem);
}

test('the item of the documents is put, and read back as it was', async () => {
  await putItem();
  const path = '/external/connections/contosohr/items/TSP228082938';
  const read = await client.api(path).version('beta').get();
  assert.equal(read.id, 'TSP228082938');
  assert.deepEqual(read.acl, externalItem.acl);
  assert.deepEqual(read.properties, externalItem.properties);
  assert.deepEqual(read.content, externalItem.content);
  assert.deepEqual((await stored(`/beta${path}`)).body, read);
  assert.deepEqual((await control('GET')).connections.map(({ id, items }) => [id, items]), [['contosohr', 1]]);
});

test('the activity of the documents is added to the item', async () => {
  await putItem();
  // https://learn.microsoft.com/graph/api/externalconnectors-externalitem-addactivities?view=graph-rest-1.0&tabs=javascript
  const externalActivityResult = {
    activities: [
      {
        '@odata.type': '#microsoft.graph.externalConnectors.externalActivity',
        type: 'created',
        startDateTime: '2021-04-06T18:04:31.033Z',
        performedBy: {
          type: 'user',
          id: '1f0c997e-99f7-43f1-8cca-086f8d42be8d'
        }
      }
    ]
  };

  const added = await client.api('/external/connections/contosohr/items/TSP228082938/addActivities')
    .post(externalActivityResult);
  assert.deepEqual(added.value, [
    {
      '@odata.type': '#microsoft.graph.externalConnectors.externalActivityResult',
      type: 'created',
      startDateTime: '2021-04-06T18:04:31.033Z',
      error: null
    }
  ]);
  // The item, which was there to be read, is as before.
  const read = await client.api('/external/connections/contosohr/items/TSP228082938').version('beta').get();
  assert.deepEqual(read.properties, externalItem.properties);
});

test('of several activities one may fail, and the client shows the 207 as an answer', async () => {
  await putItem();
  const path = '/external/connections/contosohr/items/TSP228082938/addActivities';
  const viewed = (id) => ({
    '@odata.type': '#microsoft.graph.externalConnectors.externalActivity',
    type: 'viewed',
    startDateTime: '2021-04-06T18:04:31.033Z',
    performedBy: { type: 'user', id }
  });
  const good = viewed('1f0c997e-99f7-43f1-8cca-086f8d42be8d');
  const { value } = await client.api(path).post({ activities: [good, viewed('nobody'), good] });
  assert.deepEqual(value.map(({ error }) => error === null), [true, false, true]);
  assert.match(value[1].error.message, /GUID/);
  assert.equal((await journal()).at(-1), `POST /v1.0${path} 207`);
});

// The documents of user activities have HTTP only: the same requests by the client.
// https://learn.microsoft.com/graph/api/projectrome-put-activity
test('a user activity has its id escaped in the path, and is listed with its history', async () => {
  const knot = { ...activity('/article?12345'), userTimezone: 'Africa/Casablanca' };
  const path = `/me/activities/${encodeURIComponent('/article?12345')}`;
  const created = await client.api(path).put(knot);
  assert.equal(created.appActivityId, '/article?12345');
  assert.equal(created.status, 'updated');
  const replaced = await client.api(path).put(knot);
  assert.equal(replaced.id, created.id);
  assert.deepEqual((await journal()).slice(-2), [`PUT /v1.0${path} 201`, `PUT /v1.0${path} 200`]);

  // https://learn.microsoft.com/graph/api/projectrome-put-historyitem
  const history = await client
    .api(`/me/activities/${created.id}/historyItems/390e06e2-7e5b-4133-8014-fac7ac5991af`)
    .version('beta')
    .put({
      startedDateTime: '2015-02-11T20:54:04.3457274+00:00',
      userTimezone: 'Africa/Casablanca',
      lastActiveDateTime: '2015-02-11T20:54:04.3457274+00:00'
    });
  assert.equal(history.id, '390e06e2-7e5b-4133-8014-fac7ac5991af');
  assert.equal(Date.parse(history.startedDateTime), Date.parse('2015-02-11T20:54:04.345Z'));

  const { value } = await client.api('/me/activities').expand('historyItems').get();
  assert.deepEqual(value.map(({ id }) => id), [created.id]);
  assert.deepEqual(value[0].historyItems.map(({ id }) => id), [history.id]);
  await client.api(`/me/activities/${created.id}`).delete();
  assert.deepEqual((await client.api('/me/activities').get()).value, []);
});

test('what has to have a type before it has it, in the order in which JavaScript writes members', async () => {
  const path = '/external/connections/contosohr/items/apples';
  const { acl } = externalItem;
  await client.api(path).version('beta').put({
    acl,
    properties: {
      'title@odata.type': 'String',
      title: 'Kandierte Äpfel',
      'categories@odata.type': 'Collection(String)',
      categories: ['red', 'blue']
    }
  });
  const { properties } = await client.api(path).version('beta').get();
  assert.equal(properties.title, 'Kandierte Äpfel');
  assert.deepEqual(properties.categories, ['red', 'blue']);
  assert.deepEqual((await control('GET', '/reports')).reports.filter(({ rule }) => rule !== 'label-missing'), []);
});
