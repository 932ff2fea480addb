# One image for the API, the bridge and every command. Nothing is built: Node runs the source as it is.
# `.ci/run` runs every line of this, in api/deploy/image/prove.ts.

FROM node:24-trixie-slim AS install
WORKDIR /lintel
COPY package.json package-lock.json ./
# Not `npm ci`: what is native comes for the platform that this is built on, and the lock file has one of them.
RUN npm install --omit=dev --no-save --ignore-scripts --no-audit --no-fund
COPY api api
COPY bridge bridge
COPY drizzle drizzle
# What `npm install` does last: the repair of the driver, and the compile cache, which Node keeps apart for each user.
RUN chown -R 10001:10001 /lintel
USER 10001:10001
ENV HOME=/tmp
RUN npm run postinstall
RUN chmod -R a+rX,go-w /lintel

FROM node:24-trixie-slim
# pg_dump and psql of Postgres 17, which is what trixie has, for servers up to 17.
RUN apt-get update \
  && apt-get install -y --no-install-recommends postgresql-client \
  && rm -rf /var/lib/apt/lists/* \
  && install -d -o 10001 -g 10001 -m 700 /data /backups
# The one that runs it owns none of it.
COPY --from=install --chown=0:0 /lintel /lintel
WORKDIR /lintel
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 DATA_DIR=/data BACKUP_DIR=/backups HOME=/tmp
USER 10001:10001
# Besides /tmp, all that is ever written to: the root file system may be read-only.
VOLUME ["/data", "/backups"]
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["node", "api/deploy/image/healthy.ts"]
CMD ["node", "--import", "./api/compile-cache.mjs", "--max-semi-space-size=4", "api/node.ts"]
