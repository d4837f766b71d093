"""An S3 server over HTTP, moto's, which lets nobody in without a signature it has checked.

Writes one line of JSON to standard output, with its URL, a bucket and the keys of a user who may use it; ends when standard
input does. `--certificate FILE --key FILE` make it HTTPS.
"""

import argparse
import json
import os
import sys
import threading

# Actions that need no signature: the four below, which make the user who then has one.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"

import boto3  # noqa: E402
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402

BUCKET = "vedette"


class Quiet(MotoRequestHandler):
    def log_request(self, *_):
        """Nobody reads it."""


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--certificate")
    arguments.add_argument("--key")
    arguments = arguments.parse_args()
    identity = (arguments.certificate, arguments.key) if arguments.certificate else None
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet, ssl_context=identity)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    port = server.server_address[1]
    url = f"{'https' if identity else 'http'}://localhost:{port}"
    anyone = {"endpoint_url": url, "region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    anyone["verify"] = arguments.certificate
    boto3.client("s3", **anyone).create_bucket(Bucket=BUCKET)
    iam = boto3.client("iam", **anyone)
    iam.create_user(UserName="vedette")
    actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    iam.put_user_policy(UserName="vedette", PolicyName="pictures", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="vedette")["AccessKey"]
    told = {"url": url, "bucket": BUCKET, "access_key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    print(json.dumps(told), flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
