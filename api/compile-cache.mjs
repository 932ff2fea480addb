import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

// Source runs unbuilt, and stripping its types costs a process some 40 MiB and half a second. Node keeps what it compiled
// here, so only the first process ever pays: `npm install`, see package.json. A plain module, since it comes before that.
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/lintel', import.meta.url)))
