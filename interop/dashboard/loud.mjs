// A server on standard input and output that says things which would do harm if a page took them for markup.
import { createInterface } from 'node:readline';

console.error('<img src=x onerror="globalThis.hacked=1"></pre><script>globalThis.hacked=1</script>');
const answers = {
    initialize: ({ protocolVersion }) => ({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'loud', version: '1' } }),
    'tools/list': () => ({ tools: [{ name: 'shout', inputSchema: { type: 'object' } }] }),
    'tools/call': () => ({ content: [{ type: 'text', text: 'heard' }] }),
    ping: () => ({})
};
for await (const line of createInterface({ input: process.stdin })) {
    const { id, method, params } = JSON.parse(line);
    if (id === undefined) continue;
    const answer = answers[method] ? { result: answers[method](params) } : { error: { code: -32601, message: 'no such method' } };
    console.log(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
}
