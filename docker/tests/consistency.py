"""What no linter knows: that the files of docker/ agree with each other and with the server. Needs PyYAML."""

import json
import pathlib
import re

import yaml

DOCKER = pathlib.Path(__file__).resolve().parent.parent
REPOSITORY = DOCKER.parent


def text(path):
    return (DOCKER / path).read_text()


def compose(name):
    """A compose file, merge keys resolved."""
    return yaml.safe_load(text(name))


def services_are_hardened():
    for name in ("compose.yaml", "compose.prod.yaml"):
        for service, settings in compose(name)["services"].items():
            where = f"{name}: {service}"
            assert settings.get("read_only") is True, f"{where} may write to its root"
            assert settings.get("cap_drop") == ["ALL"], f"{where} keeps capabilities"
            assert not {"cap_add", "privileged", "network_mode", "pid"} & settings.keys(), f"{where} takes more than it needs"
            assert "no-new-privileges:true" in settings["security_opt"], where
            assert settings["restart"] == ("no" if "profiles" in settings else "unless-stopped"), where
            assert "build" in settings or not re.search(r"(^[^:]*|:latest)$", settings["image"]), f"{where}: no fixed version"


def what_services_name_is_there():
    for name in ("compose.yaml", "compose.prod.yaml"):
        document = compose(name)
        made = set(re.findall(r"[a-z_]+", re.search(r"for name in ([^;]+);", text("make-secrets.sh"))[1]))
        for secret, source in document.get("secrets", {}).items():
            file = source["file"].removeprefix("./secrets/")
            assert file in made or file in ("tls.crt", "tls.key"), f"{name}: make-secrets.sh does not make {file}"
        for service, settings in document["services"].items():
            where = f"{name}: {service}"
            assert set(settings.get("secrets", [])) <= set(document.get("secrets", {})), where
            assert set(settings.get("networks", [])) <= set(document.get("networks", {})), where
            assert set(settings.get("depends_on", {})) <= set(document["services"]), where
            for variable, value in settings.get("environment", {}).items():
                if value.startswith("/run/secrets/"):
                    assert value.removeprefix("/run/secrets/") in settings["secrets"], f"{where}: {variable}"
            for volume in settings.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("./"):
                    assert (DOCKER / source).exists(), f"{where}: {source} is not there"
                elif not source.startswith("$"):
                    assert source in document["volumes"], f"{where}: the volume {source} is not declared"


def secrets_come_through():
    """Every secret the server knows can be a file, and production sets those it needs."""
    known = set(re.findall(r'secret\(\s*"([A-Z_]+)"', (REPOSITORY / "controlplane/src/config/variables.rs").read_text()))
    passed = set(re.findall(r"\b[A-Z_]{6,}\b", re.search(r"for name in ([^;]+);", text("with-secrets.sh"))[1]))
    assert known, "variables.rs is not what it was"
    assert known <= passed, f"with-secrets.sh does not know {known - passed}"
    optional = {"API_KEY", "VEDETTE_KEY_PREVIOUS", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
                "MQTT_PASSWORD"}
    given = {name.removesuffix("_FILE") for name in compose("compose.prod.yaml")["services"]["controlplane-1"]["environment"]}
    assert known - optional <= given, f"compose.prod.yaml does not give {known - optional - given}"
    secrets = [document["stringData"] for document in yaml.safe_load_all(text("kubernetes/secret.example.yaml"))]
    in_kubernetes = {name for secret in secrets for name in secret}
    assert known - optional <= in_kubernetes, f"secret.example.yaml does not have {known - optional - in_kubernetes}"


def addresses_agree():
    services = compose("compose.prod.yaml")["services"]
    address = {name: services[name]["networks"]["door"]["ipv4_address"] for name in ("nginx", "controlplane-1", "controlplane-2")}
    upstream = re.findall(r"server ([0-9.]+):8000", text("nginx.conf"))
    assert upstream == [address["controlplane-1"], address["controlplane-2"]], upstream
    settings = yaml.safe_load(text("config/behind-nginx.yaml"))
    assert settings["server"]["trusted_proxies"] == [address["nginx"]], "behind-nginx.yaml trusts another address"
    targets = yaml.safe_load(text("prometheus/prometheus.yml"))["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == ["controlplane-1:8000", "controlplane-2:8000"], targets


def the_dashboard_is_one():
    dashboard = json.loads(text("grafana/dashboards/vedette.json"))
    source = yaml.safe_load(text("grafana/provisioning/datasources/prometheus.yaml"))["datasources"][0]["uid"]
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] == source, panel["title"]
        assert panel["targets"] and all(target["datasource"]["uid"] == source for target in panel["targets"]), panel["title"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]


def kubernetes_agrees():
    resources = yaml.safe_load(text("kubernetes/kustomization.yaml"))["resources"]
    files = {path.name for path in (DOCKER / "kubernetes").glob("*.yaml")} - {"kustomization.yaml", "secret.example.yaml"}
    assert set(resources) == files, set(resources) ^ files
    documents = [one for name in [*resources, "secret.example.yaml"] for one in yaml.safe_load_all(text(f"kubernetes/{name}"))]
    there = {(one["kind"], one["metadata"]["name"]) for one in documents}
    kinds = {"configMapRef": "ConfigMap", "secretRef": "Secret"}
    for workload in (one for one in documents if one["kind"] in ("Deployment", "StatefulSet")):
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
        for volume in pod["volumes"]:
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in there
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in there
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] and context["capabilities"] == {"drop": ["ALL"]}
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes
            for source in container["envFrom"]:
                (kind, reference), = source.items()
                assert (kinds[kind], reference["name"]) in there, reference
    backends = [path["backend"]["service"]["name"] for one in documents if one["kind"] == "Ingress"
                for rule in one["spec"]["rules"] for path in rule["http"]["paths"]]
    assert backends and all(("Service", name) in there for name in backends)


for check in (services_are_hardened, what_services_name_is_there, secrets_come_through, addresses_agree,
              the_dashboard_is_one, kubernetes_agrees):
    check()
print("the files agree with each other and with the server")
