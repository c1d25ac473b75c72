// Lists in pages, with the client's iterator and by its links.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PageIterator } from '@microsoft/microsoft-graph-client';
import { activity, client, control, journal } from './emulator.mjs';

async function five() {
  await control('POST', '/reset');
  for (const id of ['a', 'b', 'c', 'd', 'e']) await client.api(`/me/activities/${id}`).put(activity(id));
}

const ids = (entries) => entries.map(({ appActivityId }) => appActivityId);

test('the iterator finds every entry once, page after page, with the options of the first request', async () => {
  await five();
  const first = await client.api('/me/activities').top(2).expand('historyItems').get();
  assert.deepEqual(ids(first.value), ['e', 'd']);

  const seen = [];
  const iterator = new PageIterator(client, first, (entry) => {
    seen.push(entry);
    return true;
  });
  await iterator.iterate();
  assert.ok(iterator.isComplete());
  assert.deepEqual(ids(seen), ['e', 'd', 'c', 'b', 'a']);
  assert.ok(seen.every(({ historyItems }) => historyItems.length === 0));
  const pages = (await journal()).filter((request) => request.startsWith('GET '));
  assert.deepEqual(pages.map((request) => request.slice(-4)), [' 200', ' 200', ' 200']);
});

test('an iterator that was stopped in the middle of a page goes on there', async () => {
  await five();
  const seen = [];
  const first = await client.api('/me/activities').top(2).get();
  const iterator = new PageIterator(client, first, (entry) => {
    seen.push(entry);
    return seen.length !== 3;
  });
  await iterator.iterate();
  assert.deepEqual(ids(seen), ['e', 'd', 'c']);
  assert.ok(!iterator.isComplete());
  await iterator.resume();
  assert.deepEqual(ids(seen), ['e', 'd', 'c', 'b', 'a']);
  assert.ok(iterator.isComplete());
});

test('a link is followed as it stands', async () => {
  await five();
  const first = await client.api('/me/activities').top(4).get();
  const second = await client.api(first['@odata.nextLink']).get();
  assert.deepEqual(ids(second.value), ['a']);
  assert.equal(second['@odata.nextLink'], undefined);
});
