"""Registers an upstream with a ContextForge that has just been started, and leaves the header that its clients must send.

Arguments: the gateway's port, the upstream's URL, the folder for the file `headers`.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

port, url, folder = sys.argv[1:]

# The gateway's own command for tokens; it reads the same environment.
token = subprocess.run(
    [sys.executable, "-m", "mcpgateway.utils.create_jwt_token"]
    + ["--username", os.environ["PLATFORM_ADMIN_EMAIL"], "--exp", "600", "--secret", os.environ["JWT_SECRET_KEY"]],
    check=True,
    capture_output=True,
    text=True,
).stdout.split()[-1]


def post(path, body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    return urllib.request.urlopen(request, timeout=60).read()


# It may listen before it can serve, and the upstream's bridge may start later than itself.
for attempt in range(60):
    try:
        post("/gateways", {"name": "up", "url": url, "transport": "STREAMABLEHTTP"})
        break
    except urllib.error.HTTPError as error:
        if error.code == 409:
            # Registered by an earlier start.
            break
        if attempt == 59:
            raise SystemExit(f"{error}: {error.read()[:300]}")
    except OSError as error:
        if attempt == 59:
            raise SystemExit(str(error))
    time.sleep(0.5)

with open(os.path.join(folder, "headers"), "w") as file:
    file.write(f"Authorization: Bearer {token}\n")
