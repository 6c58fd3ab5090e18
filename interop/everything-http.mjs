// Starts server-everything over streamable HTTP on a free port and says which:
// the package itself only takes a fixed one, and two runs at once would clash.
import http from 'node:http';

const listen = http.Server.prototype.listen;
http.Server.prototype.listen = function (_port, ...rest) {
    this.once('listening', () => console.log(`listening http://127.0.0.1:${this.address().port}/mcp`));
    return listen.call(this, 0, '127.0.0.1', ...rest.filter(argument => typeof argument === 'function'));
};
// Ends with the run that started it.
process.stdin.resume().once('end', () => process.exit(0));
// The package says where its own entry point is; the HTTP transport lies beside it.
const entry = import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js');
await import(new URL('./transports/streamableHttp.js', entry));
