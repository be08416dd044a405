# Images from one build, so that they cannot disagree. Two containers: the gate, which knows which
# policies it expects, and OPA, which holds exactly those. Or one (deploy/chart): the gate, which starts
# the OPA beside it with the same policies, and so may give leases.
#
#   docker build --target gate -t admissibility-gate .
#   docker build --target policy -t admissibility-policy .
#   docker build --target standalone -t admissibility-standalone:0.1.0 .

FROM openpolicyagent/opa:1.22.0-static AS opa

FROM python:3.13.5-slim-bookworm AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN ["python", "-m", "venv", "/opt/admissibility"]
# The lock first: it changes seldom, and nothing without a hash is installed.
COPY requirements-runtime.txt ./
RUN ["/opt/admissibility/bin/python", "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "-r", "requirements-runtime.txt"]
COPY pyproject.toml setup.py README.md ./
COPY sidecar ./sidecar
COPY packages ./packages
COPY policies ./policies
COPY envoy ./envoy
COPY docs ./docs
RUN ["/opt/admissibility/bin/python", "-m", "pip", "install", "--no-deps", "--no-build-isolation", "."]
# The policies as a bundle whose revision is its content, and the gate's configuration naming it.
COPY --from=opa /opa /usr/local/bin/opa
COPY deploy/sidecar.yaml deploy/build_policy.py ./deploy/
RUN ["/opt/admissibility/bin/python", "deploy/build_policy.py", "--opa", "/usr/local/bin/opa", "--policies", "policies", "--config", "deploy/sidecar.yaml", "--out", "/out"]
# A folder the gate may write; a volume mounted there takes its owner over.
RUN ["install", "-d", "-o", "65532", "-g", "65532", "-m", "0700", "/out/state"]

FROM opa AS policy
COPY --from=build /out/bundle.tar.gz /out/verification.pem /
USER 65532:65532

FROM python:3.13.5-slim-bookworm AS gate
COPY --from=build /opt/admissibility /opt/admissibility
COPY --from=build /out/sidecar.yaml /etc/admissibility/sidecar.yaml
COPY --from=build --chown=65532:65532 /out/state /var/lib/admissibility
COPY --from=build --chown=65532:65532 /out/state /var/log/admissibility
ENV PATH=/opt/admissibility/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["admit", "health", "--gate", "127.0.0.1:9191"]
ENTRYPOINT ["admit"]
CMD ["serve", "--config", "/etc/admissibility/sidecar.yaml"]

FROM gate AS standalone
COPY --from=opa /opa /usr/local/bin/opa
COPY --from=build /out/bundle.tar.gz /out/verification.pem /etc/admissibility/policy/
USER 65532:65532
